//! The selector's text, read by recursive descent; no token needs more than its own beginning.

use std::collections::BTreeSet;

use super::{Rule, Selector, SelectorError, Test};

/// Calico's own; a line break is none.
const SPACE: [char; 2] = [' ', '\t'];

const OPERATION: &str = "all(), global(), has(label), a label, ! or (";
const OPERATOR: &str = "==, !=, in, not in, contains, starts with or ends with";
const QUOTED: &str = "a value in ' or \"";
const END: &str = "&&, || or the end";

/// The rule that `text` says; the empty text selects everything.
pub(super) fn rule(text: &str) -> Result<Rule, SelectorError> {
    let mut reader = Reader {
        text,
        rest: text,
        depth: 0,
    };
    reader.skip_space();
    if reader.rest.is_empty() {
        return Ok(Rule::All);
    }
    let rule = reader.any_of()?;
    if !reader.rest.is_empty() {
        return Err(reader.fault(END));
    }
    Ok(rule)
}

/// What is left of a text; `rest` never begins with space.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    /// How many parentheses are open.
    depth: usize,
}

impl<'a> Reader<'a> {
    /// `all_of || all_of …`
    fn any_of(&mut self) -> Result<Rule, SelectorError> {
        let first = self.all_of()?;
        let mut rules = vec![first];
        while self.eat("||") {
            rules.push(self.all_of()?);
        }
        Ok(one_or(rules, Rule::Or))
    }

    /// `operation && operation …`
    fn all_of(&mut self) -> Result<Rule, SelectorError> {
        let first = self.operation()?;
        let mut rules = vec![first];
        while self.eat("&&") {
            rules.push(self.operation()?);
        }
        Ok(one_or(rules, Rule::And))
    }

    /// `!operation`, `(any_of)`, a function or a comparison.
    fn operation(&mut self) -> Result<Rule, SelectorError> {
        let mut negated = false;
        while self.eat("!") {
            negated = !negated;
        }
        let rule = if self.rest.starts_with('(') {
            self.parenthesised()?
        } else if self.eat("all(") || self.eat("global(") {
            self.expect(")", "the closing )")?;
            Rule::All
        } else if self.eat("has(") {
            let label = self.label("a label")?.to_owned();
            self.expect(")", "the closing )")?;
            Rule::Has(label)
        } else {
            self.comparison()?
        };
        Ok(if negated { rule.negated() } else { rule })
    }

    fn parenthesised(&mut self) -> Result<Rule, SelectorError> {
        if self.depth == Selector::MAX_NESTING {
            return Err(SelectorError::Nesting { at: self.at() });
        }
        self.expect("(", OPERATION)?;
        self.depth += 1;
        let rule = self.any_of()?;
        self.depth -= 1;
        self.expect(")", "&&, || or the closing )")?;
        Ok(rule)
    }

    /// `label operator value`. Calico knows an operator by its beginning alone: `startswith` and
    /// `in{'a'}` are as good as the spaced forms.
    fn comparison(&mut self) -> Result<Rule, SelectorError> {
        let label = self.label(OPERATION)?.to_owned();
        let start = self.rest;
        let test = if self.eat("==") {
            return Ok(Rule::Value(label, Test::Among([self.quoted()?].into())));
        } else if self.eat("!=") {
            let test = Test::Among([self.quoted()?].into());
            return Ok(Rule::Value(label, test).negated());
        } else if self.eat("contains") {
            Test::Contains(self.quoted()?)
        } else if self.eat("starts") && self.eat("with") {
            Test::StartsWith(self.quoted()?)
        } else if self.eat("ends") && self.eat("with") {
            Test::EndsWith(self.quoted()?)
        } else if self.eat("not") && self.eat("in") {
            return Ok(Rule::Value(label, Test::Among(self.set()?)).negated());
        } else if self.eat("in") {
            Test::Among(self.set()?)
        } else {
            self.rest = start;
            return Err(self.fault(OPERATOR));
        };
        Ok(Rule::Value(label, test))
    }

    /// `{'a', 'b'}`; it may be empty, and a comma may stand behind the last.
    fn set(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        self.expect("{", "{ and values in ' or \"")?;
        let mut values = BTreeSet::new();
        while self.rest.starts_with(['\'', '"']) {
            values.insert(self.quoted()?);
            if !self.eat(",") {
                self.expect("}", ", or the closing }")?;
                return Ok(values);
            }
        }
        self.expect("}", "a value in ' or \", or the closing }")?;
        Ok(values)
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        let quote = self.rest.chars().next().filter(|c| ['\'', '"'].contains(c));
        let quote = quote.ok_or_else(|| self.fault(QUOTED))?;
        let inside = self.rest.split_at(1).1;
        let (value, rest) = inside
            .split_once(quote)
            .ok_or_else(|| self.fault("a value that ends with the quote it begins with"))?;
        self.rest = rest;
        self.skip_space();
        Ok(value.to_owned())
    }

    fn label(&mut self, expected: &'static str) -> Result<&'a str, SelectorError> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (label, rest) = self.rest.split_at(end);
        if label.is_empty() {
            return Err(self.fault(expected));
        }
        self.rest = rest;
        self.skip_space();
        Ok(label)
    }

    fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), SelectorError> {
        if self.eat(token) {
            return Ok(());
        }
        Err(self.fault(expected))
    }

    fn eat(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else {
            return false;
        };
        self.rest = rest;
        self.skip_space();
        true
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(SPACE);
    }

    fn at(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn fault(&self, expected: &'static str) -> SelectorError {
        const SHOWN: usize = 24;
        let shown: String = self.rest.chars().take(SHOWN).collect();
        let found = match shown.as_str() {
            "" => "the end".to_owned(),
            shown if shown.len() < self.rest.len() => format!("{:?}", format!("{shown}…")),
            shown => format!("{shown:?}"),
        };
        SelectorError::Syntax {
            at: self.at(),
            found,
            expected,
        }
    }
}

fn one_or(mut rules: Vec<Rule>, many: fn(Vec<Rule>) -> Rule) -> Rule {
    match rules.pop() {
        Some(only) if rules.is_empty() => only,
        Some(last) => {
            rules.push(last);
            many(rules)
        }
        None => many(rules),
    }
}
