//! Calico's selectors: which labels a node must have.

mod parse;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// What selects by labels, such as `zone == 'west' && !has(spare)`.
///
/// The language is Calico's:
///
/// | | selects what has |
/// |---|---|
/// | `all()`, `global()`, the empty text | any labels |
/// | `has(k)` | the label k |
/// | `k == 'v'`, `k in {'v', 'w'}` | the label k with that value, or one of these |
/// | `k != 'v'`, `k not in {'v', 'w'}` | not so: another value, or no label k |
/// | `k contains 'v'`, `k starts with 'v'`, `k ends with 'v'` | the label k with such a value |
/// | `!s`, `s && t`, `s \|\| t`, `(s)` | as usual; `!` binds closest, then `&&` |
///
/// A label is a word of letters, digits and `_./-`; a value stands in `'` or `"` and ends at the
/// next one, there is no escape. Space is blank or tab. Parentheses nest up to
/// [`MAX_NESTING`](Self::MAX_NESTING) deep.
///
/// ```
/// use ipip_core::resource::Selector;
/// use std::collections::BTreeMap;
/// let selector: Selector = "zone in {'west', 'east'} && !has(spare)".parse()?;
/// let mut labels = BTreeMap::from([("zone".to_owned(), "west".to_owned())]);
/// assert!(selector.matches(&labels));
/// labels.insert("spare".to_owned(), String::new());
/// assert!(!selector.matches(&labels));
/// let error = "zone = 'west'".parse::<Selector>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "at octet 5: found \"= 'west'\", expected ==, !=, in, not in, contains, starts with or ends with"
/// );
/// # Ok::<(), ipip_core::resource::SelectorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    text: String,
    rule: Rule,
}

/// Why a text is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// Something else should stand there.
    #[error("at octet {at}: found {found}, expected {expected}")]
    Syntax {
        /// Where, in octets from the beginning.
        at: usize,
        /// What stands there: the beginning of the rest in quotes, or `the end`.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// Too many parentheses within one another.
    #[error(
        "at octet {at}: parentheses nest deeper than {}",
        Selector::MAX_NESTING
    )]
    Nesting {
        /// Where the one too many opens, in octets from the beginning.
        at: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    All,
    Has(String),
    /// The label has a value, and it passes.
    Value(String, Test),
    Not(Box<Rule>),
    And(Vec<Rule>),
    Or(Vec<Rule>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Among(BTreeSet<String>),
    Contains(String),
    StartsWith(String),
    EndsWith(String),
}

impl Selector {
    /// How deep parentheses may nest; Calico has no limit, and nobody's selectors come near it.
    pub const MAX_NESTING: usize = 64;

    /// `all()`, which selects whatever there is.
    #[must_use]
    pub fn all() -> Self {
        Self {
            text: "all()".to_owned(),
            rule: Rule::All,
        }
    }

    /// Reads a selector.
    ///
    /// # Errors
    /// [`SelectorError`] naming the place, what was found and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Ok(Self {
            text: text.to_owned(),
            rule: parse::rule(text)?,
        })
    }

    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it plainly says `all()`, in one of the forms that do.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.rule == Rule::All
    }

    /// Whether it selects what has these labels.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.rule.matches(labels)
    }
}

impl Rule {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::All => true,
            Self::Has(label) => labels.contains_key(label),
            Self::Value(label, test) => labels.get(label).is_some_and(|value| test.passes(value)),
            Self::Not(rule) => !rule.matches(labels),
            Self::And(rules) => rules.iter().all(|rule| rule.matches(labels)),
            Self::Or(rules) => rules.iter().any(|rule| rule.matches(labels)),
        }
    }

    fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Among(values) => values.contains(value),
            Self::Contains(part) => value.contains(part.as_str()),
            Self::StartsWith(part) => value.starts_with(part.as_str()),
            Self::EndsWith(part) => value.ends_with(part.as_str()),
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::parse(text)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
