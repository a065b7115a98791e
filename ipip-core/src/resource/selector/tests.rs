use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn labels(text: &str) -> BTreeMap<String, String> {
    let pairs = text
        .split_whitespace()
        .map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Selector, labels that it selects, labels that it does not.
#[test]
fn selectors_mean_what_calicos_mean() {
    for (text, selected, others) in [
        ("", &["", "a=b"][..], &[][..]),
        (" \t ", &["", "a=b"], &[]),
        ("all( )", &["", "a=b"], &[]),
        ("global()", &["", "a=b"], &[]),
        ("!all()", &[], &["", "a=b"]),
        ("has( a )", &["a=", "a=b"], &["", "b=a"]),
        ("a == 'b'", &["a=b", "a=b c=d"], &["", "a=c", "b=b"]),
        ("a!=\"b\"", &["", "a=c", "a="], &["a=b"]),
        ("a == ''", &["a="], &["", "a=b"]),
        ("a in {'b', \"c\"}", &["a=b", "a=c"], &["", "a=d"]),
        ("a in{'b','c',}", &["a=b", "a=c"], &["", "a=", "a=d"]),
        ("a in {}", &[], &["", "a=", "a=b"]),
        ("a not in {'b'}", &["", "a=c"], &["a=b"]),
        ("a notin {}", &["", "a=b"], &[]),
        ("a contains 'bc'", &["a=bc", "a=abcd"], &["", "a=b", "c=bc"]),
        ("a contains''", &["a=", "a=b"], &[""]),
        ("a starts with 'bc'", &["a=bc", "a=bcd"], &["", "a=abc"]),
        ("a startswith'bc'", &["a=bcd"], &["a=b"]),
        ("a ends with 'bc'", &["a=bc", "a=abc"], &["", "a=bcd"]),
        ("a == '\"' || a == \"'\"", &["a=\"", "a='"], &["a=b"]),
        ("!a == 'b'", &["", "a=c"], &["a=b"]),
        ("!! !has(a)", &["", "b=a"], &["a=b"]),
        ("! !has(a)", &["a=b"], &["", "b=a"]),
        (
            "has(a) || has(b) && has(c)",
            &["a=", "b= c="],
            &["b=", "c="],
        ),
        (
            "(has(a) || has(b)) && has(c)",
            &["a= c=", "b= c="],
            &["a=", "c="],
        ),
        ("!(has(a) || !has(b))", &["b="], &["", "a= b=", "a="]),
        (
            "kubernetes.io/os-1_x == 'linux'",
            &["kubernetes.io/os-1_x=linux"],
            &["os=linux"],
        ),
        // Words of the language are labels where a label must stand.
        (
            "in in {'a'} && not not in {'a'}",
            &["in=a not=b", "in=a"],
            &["in=b", "in=a not=a"],
        ),
        ("all == 'a' && has == 'b'", &["all=a has=b"], &["all=a"]),
        ("a == 'ä '", &[], &["a=ä"]),
    ] {
        let selector = Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        for some in selected {
            assert!(selector.matches(&labels(some)), "{text} selects {some:?}");
        }
        for other in others {
            assert!(
                !selector.matches(&labels(other)),
                "{text} does not select {other:?}"
            );
        }
        assert_eq!(selector.as_str(), text);
    }
    let all = |text: &str| Selector::parse(text).unwrap().is_all();
    assert!(all("") && all(" (all()) ") && !all("!all()") && !all("has(a)"));
}

#[test]
fn faults_name_the_place_and_what_is_allowed() {
    for (text, message) in [
        (
            "a",
            "at octet 1: found the end, expected ==, !=, in, not in, contains, starts with or ends with",
        ),
        (
            "a b",
            "at octet 2: found \"b\", expected ==, !=, in, not in, contains, starts with or ends with",
        ),
        (
            "a starts 'b'",
            "at octet 2: found \"starts 'b'\", expected ==, !=, in, not in, contains, starts with or ends with",
        ),
        (
            "a not 'b'",
            "at octet 2: found \"not 'b'\", expected ==, !=, in, not in, contains, starts with or ends with",
        ),
        (
            "a == b",
            "at octet 5: found \"b\", expected a value in ' or \"",
        ),
        (
            "a == 'b\"",
            "at octet 5: found \"'b\\\"\", expected a value that ends with the quote it begins with",
        ),
        (
            "'a' == b",
            "at octet 0: found \"'a' == b\", expected all(), global(), has(label), a label, ! or (",
        ),
        (
            "ä == 'b'",
            "at octet 0: found \"ä == 'b'\", expected all(), global(), has(label), a label, ! or (",
        ),
        (
            "!",
            "at octet 1: found the end, expected all(), global(), has(label), a label, ! or (",
        ),
        (
            "()",
            "at octet 1: found \")\", expected all(), global(), has(label), a label, ! or (",
        ),
        (
            "has(a) &",
            "at octet 7: found \"&\", expected &&, || or the end",
        ),
        (
            "has(a))",
            "at octet 6: found \")\", expected &&, || or the end",
        ),
        (
            "has(a)\nb",
            "at octet 6: found \"\\nb\", expected &&, || or the end",
        ),
        (
            "has(a) &&",
            "at octet 9: found the end, expected all(), global(), has(label), a label, ! or (",
        ),
        (
            "(has(a)",
            "at octet 7: found the end, expected &&, || or the closing )",
        ),
        ("has(a", "at octet 5: found the end, expected the closing )"),
        ("has()", "at octet 4: found \")\", expected a label"),
        ("all(a)", "at octet 4: found \"a)\", expected the closing )"),
        (
            "a in 'b'",
            "at octet 5: found \"'b'\", expected { and values in ' or \"",
        ),
        (
            "a in {'b' 'c'}",
            "at octet 10: found \"'c'}\", expected , or the closing }",
        ),
        (
            "a in {,}",
            "at octet 6: found \",}\", expected a value in ' or \", or the closing }",
        ),
        (
            "has(a) has(b) and what comes after that",
            "at octet 7: found \"has(b) and what comes af…\", expected &&, || or the end",
        ),
    ] {
        assert_eq!(
            Selector::parse(text).unwrap_err().to_string(),
            message,
            "{text}"
        );
    }
}

#[test]
fn nesting_has_a_limit_and_no_text_overflows_the_stack() {
    let nested = |depth: usize| format!("{}all(){}", "(".repeat(depth), ")".repeat(depth));
    assert!(Selector::parse(&nested(Selector::MAX_NESTING)).is_ok());
    let error = Selector::parse(&nested(Selector::MAX_NESTING + 1)).unwrap_err();
    assert_eq!(error, SelectorError::Nesting { at: 64 });
    assert_eq!(
        error.to_string(),
        "at octet 64: parentheses nest deeper than 64"
    );
    for text in ["(", "!(", "! ", "has(a)||", "{"] {
        assert!(Selector::parse(&text.repeat(1_000_000)).is_err(), "{text}");
    }
    let selector = Selector::parse(&format!("{}all()", "!".repeat(1_000_001))).unwrap();
    assert!(!selector.matches(&BTreeMap::new()));
    // One behind the other is no nesting.
    let many = format!("{}all()", "(has(a)) && ".repeat(1000));
    assert!(Selector::parse(&many).unwrap().matches(&labels("a=b")));
}

/// A selector as a plain tree, with its own way to text and its own meaning.
#[derive(Debug, Clone)]
enum Tree {
    Has(usize),
    Test(usize, &'static str, &'static str),
    Among(usize, bool, Vec<&'static str>),
    Not(Box<Tree>),
    Both(Box<Tree>, Box<Tree>),
    Either(Box<Tree>, Box<Tree>),
}

const LABELS: [&str; 3] = ["a", "in", "x.y/z-1"];
const VALUES: [&str; 4] = ["", "p", "pq", "qp"];
const TESTS: [&str; 5] = ["==", "!=", "contains", "starts with", "ends with"];

impl Tree {
    fn text(&self) -> String {
        match self {
            Self::Has(label) => format!("has({})", LABELS[*label]),
            Self::Test(label, test, value) => format!("{} {test} '{value}'", LABELS[*label]),
            Self::Among(label, yes, values) => {
                let list: Vec<_> = values.iter().map(|value| format!("\"{value}\"")).collect();
                let word = if *yes { "in" } else { "not in" };
                format!("{} {word} {{{}}}", LABELS[*label], list.join(","))
            }
            Self::Not(tree) => format!("!({})", tree.text()),
            // The left one without parentheses where precedence alone must do.
            Self::Both(one, other) => match **one {
                Self::Either(..) => format!("({}) && ({})", one.text(), other.text()),
                _ => format!("{} && ({})", one.text(), other.text()),
            },
            Self::Either(one, other) => format!("{}||{}", one.text(), other.text()),
        }
    }

    fn holds(&self, found: &[Option<&str>; 3]) -> bool {
        match self {
            Self::Has(label) => found[*label].is_some(),
            Self::Test(label, test, value) => match (found[*label], *test) {
                (None, test) => test == "!=",
                (Some(found), "==") => found == *value,
                (Some(found), "!=") => found != *value,
                (Some(found), "contains") => found.contains(value),
                (Some(found), "starts with") => found.starts_with(value),
                (Some(found), _) => found.ends_with(value),
            },
            Self::Among(label, yes, values) => match found[*label] {
                None => !yes,
                Some(found) => values.contains(&found) == *yes,
            },
            Self::Not(tree) => !tree.holds(found),
            Self::Both(one, other) => one.holds(found) && other.holds(found),
            Self::Either(one, other) => one.holds(found) || other.holds(found),
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let label = 0..LABELS.len();
    let value = prop::sample::select(&VALUES[..]);
    let leaf = prop_oneof![
        label.clone().prop_map(Tree::Has),
        (
            label.clone(),
            prop::sample::select(&TESTS[..]),
            value.clone()
        )
            .prop_map(|(label, test, value)| Tree::Test(label, test, value)),
        (label, any::<bool>(), prop::collection::vec(value, 0..3))
            .prop_map(|(label, yes, values)| Tree::Among(label, yes, values)),
    ];
    leaf.prop_recursive(5, 40, 2, |inner| {
        let boxed = inner.prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(Tree::Not),
            (boxed.clone(), boxed.clone()).prop_map(|(one, other)| Tree::Both(one, other)),
            (boxed.clone(), boxed).prop_map(|(one, other)| Tree::Either(one, other)),
        ]
    })
}

proptest! {
    #[test]
    fn a_selector_means_what_its_tree_means(
        tree in tree(),
        found in prop::array::uniform3(prop::option::of(prop::sample::select(&VALUES[..]))),
    ) {
        let selector = Selector::parse(&tree.text()).unwrap();
        let pairs = LABELS.into_iter().zip(found);
        let labels = pairs.filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect();
        prop_assert_eq!(selector.matches(&labels), tree.holds(&found), "{}", tree.text());
    }

    #[test]
    fn no_text_makes_reading_panic(
        tokens in prop::collection::vec(prop::sample::select(&[
            "(", ")", "{", "}", ",", "!", "=", "==", "&&", "|", "||", "'", "\"", "'v'", " ", "a", "in", "not",
            "starts", "with", "has(", "all(", "ä", "\n", "\0",
        ][..]), 0..12)
    ) {
        let text = tokens.concat();
        if let Err(SelectorError::Syntax { at, .. }) = Selector::parse(&text) {
            prop_assert!(text.is_char_boundary(at), "{text:?} {at}");
        }
    }
}
