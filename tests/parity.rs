//! What the three languages offer, side by side: the table of `parity.txt` against the Rust sources,
//! the C header and the Python stubs. Nothing of the header or of `ipip.__all__` may be missing in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

struct Row {
    concept: String,
    rust: Vec<String>,
    c: Vec<String>,
    python: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows; an empty one between two groups.
fn rows() -> Vec<Option<Row>> {
    let text = read("tests/parity.txt");
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip_while(|line| line.is_empty());
    let names = |cell: &str| {
        cell.split(", ")
            .map(|name| name.trim().to_owned())
            .filter(|name| name != "-")
            .collect()
    };
    let row = |line: &str| {
        let cells: Vec<_> = line.split(" | ").collect();
        let [concept, rust, c, python] = cells[..] else {
            panic!("not four cells: {line}")
        };
        Row {
            concept: concept.to_owned(),
            rust: names(rust),
            c: names(c),
            python: names(python),
        }
    };
    lines
        .map(|line| (!line.is_empty()).then(|| row(line)))
        .collect()
}

/// All of a folder's sources, with their paths.
fn sources(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push((path.clone(), fs::read_to_string(path).unwrap()));
        }
    }
}

/// Whether `room::Type::method`, `room::function` or `room::Type` is public in the sources of its room.
fn rust_has(sources: &[(PathBuf, String)], name: &str) -> bool {
    let parts: Vec<_> = name.split("::").collect();
    let [room, .., last] = parts[..] else {
        return false;
    };
    let owner = parts[parts.len() - 2];
    let is_method = owner.starts_with(char::is_uppercase);
    let in_room = sources.iter().filter(|(path, _)| {
        // A folder, or a file for a room of one.
        path.iter()
            .any(|part| Path::new(part).with_extension("") == Path::new(room))
    });
    let declares = |text: &str, name: &str| {
        ["pub fn", "pub const fn", "pub struct", "pub enum"]
            .iter()
            .flat_map(|kind| {
                [
                    format!("{kind} {name}("),
                    format!("{kind} {name}<"),
                    format!("{kind} {name} "),
                    format!("{kind} {name};"),
                ]
            })
            .any(|declaration| text.contains(&declaration))
    };
    let implements = |text: &str| {
        text.lines()
            .any(|line| line.starts_with("impl") && line.contains(owner) && !line.contains(" for "))
    };
    in_room
        .into_iter()
        .any(|(_, text)| declares(text, last) && (!is_method || implements(text)))
}

/// The functions that the header declares.
fn c_functions(header: &str) -> BTreeSet<String> {
    let code = header
        .lines()
        .filter(|line| !line.trim_start().starts_with(['*', '/']))
        .collect::<Vec<_>>()
        .join("\n");
    let before_parenthesis = code
        .split('(')
        .filter_map(|text| text.rsplit([' ', '*', '\n']).next().map(str::to_owned));
    before_parenthesis
        .filter(|name| name.starts_with("ipip_") && !name.ends_with(')'))
        .collect()
}

/// Every public class, function and `Class.member` of the stubs.
fn python_names(stubs: &str) -> BTreeSet<String> {
    let (mut names, mut class) = (BTreeSet::new(), String::new());
    for line in stubs.lines() {
        let inside = line.starts_with("    ");
        let line = line.trim();
        let end = |text: &str| text.split(['(', ':', ' ']).next().unwrap().to_owned();
        if let Some(name) = line.strip_prefix("class ") {
            class = end(name);
            names.insert(class.clone());
        } else if let Some(name) = line.strip_prefix("def ") {
            names.insert(if inside {
                format!("{class}.{}", end(name))
            } else {
                end(name)
            });
        }
    }
    names
}

/// What `ipip.__all__` lists.
fn python_exports() -> BTreeSet<String> {
    let module = read("ipip-py/python/ipip/__init__.py");
    let list = module
        .split_once("__all__ = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .expect("__all__")
        .0;
    list.split(',')
        .map(|name| name.trim().trim_matches('"').to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn every_name_of_the_table_exists() {
    let mut core = Vec::new();
    sources(&root().join("ipip-core/src"), &mut core);
    let header = read("include/ipip.h");
    let functions = c_functions(&header);
    let stubs = python_names(&read("ipip-py/python/ipip/_ipip.pyi"));
    let exports = python_exports();
    let mut missing = Vec::new();
    for row in rows().into_iter().flatten() {
        let from_core = row
            .rust
            .iter()
            .filter(|name| name.contains("::") && !name.starts_with("std::"));
        missing.extend(
            from_core
                .filter(|name| !rust_has(&core, name))
                .map(|name| format!("Rust {name}")),
        );
        for name in &row.c {
            let found = functions.contains(name)
                || (name.starts_with("struct ") && header.contains(&format!("{name} {{")));
            if !found {
                missing.push(format!("C {name}"));
            }
        }
        let builtin = |name: &&String| !["ipaddress", "logger ipip"].contains(&name.as_str());
        let found =
            |name: &String| exports.contains(name) || (name.contains('.') && stubs.contains(name));
        missing.extend(
            row.python
                .iter()
                .filter(builtin)
                .filter(|name| !found(name))
                .map(|name| format!("Python {name}")),
        );
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn nothing_of_c_or_python_is_missing_in_the_table() {
    let rows: Vec<_> = rows().into_iter().flatten().collect();
    let in_c: BTreeSet<_> = rows.iter().flat_map(|row| row.c.clone()).collect();
    let in_python: BTreeSet<_> = rows.iter().flat_map(|row| row.python.clone()).collect();
    let functions = c_functions(&read("include/ipip.h"));
    let missing: Vec<_> = functions.difference(&in_c).collect();
    assert!(missing.is_empty(), "C: {missing:#?}");
    // The exceptions below Error are one row: `errors`.
    let errors = read("ipip-py/python/ipip/errors.py");
    let is_error = |name: &&String| errors.contains(&format!("class {name}("));
    let exports = python_exports();
    let missing: Vec<_> = exports
        .difference(&in_python)
        .filter(|name| !is_error(name))
        .collect();
    assert!(missing.is_empty(), "Python: {missing:#?}");
}

#[test]
fn the_readme_shows_the_table() {
    let code = |names: &[String]| match names {
        [] => "–".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let mut table = "| | Rust | C | Python |\n|---|---|---|---|\n".to_owned();
    for row in rows().into_iter().flatten() {
        table += &format!(
            "| {} | {} | {} | {} |\n",
            row.concept,
            code(&row.rust),
            code(&row.c),
            code(&row.python)
        );
    }
    println!("{table}");
    let readme = read("README.md");
    if std::env::var_os("IPIP_BLESS").is_some() {
        let (before, rest) = readme
            .split_once("<!-- parity -->\n")
            .expect("the table's marks");
        let (_, after) = rest
            .split_once("<!-- /parity -->")
            .expect("the table's marks");
        fs::write(
            root().join("README.md"),
            format!("{before}<!-- parity -->\n{table}<!-- /parity -->{after}"),
        )
        .unwrap();
        return;
    }
    assert!(
        readme.contains(&table),
        "README.md has another table: run this test with IPIP_BLESS=1"
    );
}
