//! From one store to another, through lines that Python can read.

use std::io::Write;
use std::process::{Command, Stdio};

use ipip_core::datastore::{
    Commit, Exported, ImportOptions, Imported, Memory, Outcome, Record, Revision, Store,
    StoreError, TransferError, export, import,
};

use crate::Test;
use crate::pass_on::pass_on;
use crate::scratch::Scratch;
use crate::world::{Random, land, open, put};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_network_moves_octet_for_octet",
        a_network_moves_octet_for_octet,
    ),
    ("python_reads_the_same_values", python_reads_the_same_values),
    (
        "an_import_tells_what_it_changes",
        an_import_tells_what_it_changes,
    ),
    (
        "malformed_lines_are_named_and_nothing_is_written",
        malformed_lines,
    ),
    (
        "others_who_write_stop_an_import",
        others_who_write_stop_an_import,
    ),
];

/// Values that only just are, or are not, JSON.
const VALUES: &[&[u8]] = &[
    br#"{"sequenceNumber":18446744073709551615,"f":1.0,"e":1E400,"u":"\u00e4"}"#,
    br#"{ "b" : 1 , "a":2,"a":3 }"#,
    b"null",
    b"0",
    b"\"\"",
    b"",
    b" {}",
    b"{}\n",
    b"{\n}",
    b"[1,\r2]",
    b"{",
    b"\xff\xfe",
    b"\"\xff\"",
    b"\0",
    b"\xef\xbb\xbf{}",
    b"01",
    b"NaN",
];

fn stored(store: &dyn Store) -> Vec<(String, Vec<u8>)> {
    let entries = store.list("/").unwrap().entries.into_iter();
    entries
        .map(|Record { key, value, .. }| (key, value.to_vec()))
        .collect()
}

fn exported(store: &dyn Store) -> Vec<u8> {
    let mut lines = Vec::new();
    let done = export(store, &mut lines).unwrap();
    let listing = store.list("/").unwrap();
    let (records, revision) = (listing.entries.len(), listing.revision);
    assert_eq!(done, Exported { records, revision });
    assert_eq!(
        lines.iter().filter(|octet| **octet == b'\n').count(),
        records
    );
    lines
}

fn odd_store() -> Memory {
    let store = Memory::new();
    let mut commit = Commit::new();
    let mut random = Random(0x5eed_0000_0000_0004);
    for (number, value) in VALUES.iter().enumerate() {
        commit.put(&format!("/v/{number}"), value.to_vec());
    }
    for number in 0..200 {
        let len = random.below(40);
        let value = (0..len).map(|_| {
            b"{}[]\",:01eE+-. \n\\untrl\xc3\xa4"[usize::try_from(random.below(24)).unwrap()]
        });
        commit.put(&format!("/r/{number}\u{1}\"\\ä\n"), value.collect());
    }
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    commit
        .put("/deep", deep)
        .put("/long", vec![b'x'; 3_000_000]);
    land(&store, commit);
    store
}

fn a_network_moves_octet_for_octet() {
    let scratch = Scratch::new();
    let (old, file, back) = (odd_store(), open(&scratch.file("store")), Memory::new());
    let lines = exported(&old);
    import(&file, &lines[..], ImportOptions::default()).unwrap();
    assert_eq!(stored(&file), stored(&old));
    assert_eq!(exported(&file), lines, "the same lines from every store");
    import(&back, &exported(&file)[..], ImportOptions::default()).unwrap();
    assert_eq!(stored(&back), stored(&old));
}

fn python_reads_the_same_values() {
    let store = Memory::new();
    let mut commit = Commit::new();
    for (number, value) in VALUES.iter().enumerate() {
        commit.put(&format!("/v/{number:02}"), value.to_vec());
    }
    land(&store, commit);
    let script = "import base64, json, sys\n\
        for line in sys.stdin.buffer:\n\
        \x20   record = json.loads(line)\n\
        \x20   if 'base64' in record: print(record['key'], base64.b64decode(record['base64'], validate=True))\n\
        \x20   else: print(record['key'], json.dumps(record['value']))";
    let mut python = Command::new("python3");
    let python = python
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    python
        .stdin
        .take()
        .unwrap()
        .write_all(&exported(&store))
        .unwrap();
    let said = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
    let expected = [
        r#"/v/00 {"sequenceNumber": 18446744073709551615, "f": 1.0, "e": Infinity, "u": "\u00e4"}"#,
        r#"/v/01 {"b": 1, "a": 3}"#,
        "/v/02 null",
        "/v/03 0",
        r#"/v/04 """#,
        "/v/05 b''",
        "/v/06 b' {}'",
        r"/v/07 b'{}\n'",
        r"/v/08 b'{\n}'",
        r"/v/09 b'[1,\r2]'",
        "/v/10 b'{'",
        r"/v/11 b'\xff\xfe'",
        r#"/v/12 b'"\xff"'"#,
        r"/v/13 b'\x00'",
        r"/v/14 b'\xef\xbb\xbf{}'",
        "/v/15 b'01'",
        "/v/16 b'NaN'",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

fn an_import_tells_what_it_changes() {
    let lines = "{\"key\":\"/a\",\"value\":1}\n{\"value\":2,\"key\":\"/b\"}\n{\"key\":\"/c\",\"base64\":\"/w==\"}";
    let strings = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    for remove_others in [false, true] {
        let store = Memory::new();
        for (key, value) in [("/b", "2"), ("/c", "3"), ("/z", "4")] {
            put(&store, key, value);
        }
        let mut expected = Imported {
            added: strings(&["/a"]),
            replaced: strings(&["/c"]),
            removed: strings(if remove_others { &["/z"] } else { &[] }),
            unchanged: 1,
            revision: None,
        };
        let before = store.list("/").unwrap();
        let dry = ImportOptions {
            dry_run: true,
            remove_others,
        };
        assert_eq!(import(&store, lines.as_bytes(), dry).unwrap(), expected);
        assert_eq!(store.list("/").unwrap(), before);

        let options = ImportOptions {
            dry_run: false,
            remove_others,
        };
        expected.revision = Some(Revision(4));
        assert_eq!(import(&store, lines.as_bytes(), options).unwrap(), expected);
        let pair = |key: &str, value: &[u8]| (key.to_owned(), value.to_vec());
        let mut found = vec![pair("/a", b"1"), pair("/b", b"2"), pair("/c", b"\xff")];
        if !remove_others {
            found.push(pair("/z", b"4"));
        }
        assert_eq!(stored(&store), found);
        assert_eq!(
            store.get("/b").unwrap().unwrap().revision,
            Revision(1),
            "not written again"
        );

        let again = import(&store, lines.as_bytes(), options).unwrap();
        assert_eq!(
            again,
            Imported {
                unchanged: 3,
                ..Imported::default()
            }
        );
        assert_eq!(
            store.list("/").unwrap().revision,
            Revision(4),
            "nothing to commit"
        );
    }
}

fn malformed_lines() {
    let store = Memory::new();
    put(&store, "/a", "1");
    let before = store.list("/").unwrap();
    let either = "it must have either \"value\" or \"base64\"";
    for (line, message) in [
        ("", "EOF while parsing a value at column 0"),
        (
            "{\"key\":\"/x\",\"value\":{\"a\":1",
            "EOF while parsing an object at column 26",
        ),
        (
            "{\"key\":\"/x\",\"value\":1}}",
            "trailing characters at column 23",
        ),
        ("{\"key\":\"/x\"}", either),
        ("{\"key\":\"/x\",\"value\":1,\"base64\":\"\"}", either),
        ("{\"key\":\"/x\",\"base64\":\"A\"}", "its base64 is wrong: "),
        (
            "{\"key\":\"/x\",\"base64\":\"AB==\"}",
            "its base64 is wrong: ",
        ),
        ("{\"value\":1}", "missing field `key`"),
        (
            "{\"key\":7,\"value\":1}",
            "invalid type: integer `7`, expected a string",
        ),
        (
            "{\"key\":\"x\",\"value\":1}",
            "key \"x\" must begin with '/'",
        ),
        ("{\"key\":\"\",\"value\":1}", "a key must not be empty"),
        (
            "{\"key\":\"/x\",\"value\":1,\"revision\":4}",
            "unknown field `revision`",
        ),
        ("[\"/x\"", "EOF while parsing"),
        ("\u{0}", "expected value at column 1"),
    ] {
        let lines = format!(
            "{{\"key\":\"/new\",\"value\":1}}\n{line}\n{{\"key\":\"/newer\",\"value\":1}}\n"
        );
        let error = import(&store, lines.as_bytes(), ImportOptions::default()).unwrap_err();
        let expected = format!("line 2 is not a record: {message}");
        assert!(
            error.to_string().starts_with(&expected),
            "{error}, expected {expected}"
        );
        assert_eq!(store.list("/").unwrap(), before, "{line}");
    }
    let mut lines = b"{\"key\":\"/new\",\"value\":1}\n{\"key\":\"\xff\",\"value\":1}".to_vec();
    let error = import(&store, &lines[..], ImportOptions::default()).unwrap_err();
    assert!(
        matches!(error, TransferError::Line { line: 2, .. }),
        "{error}"
    );
    lines = b"{\"key\":\"/a\",\"value\":1}\n{\"key\":\"/b\",\"value\":1}\n{\"key\":\"/a\",\"value\":1}\n".to_vec();
    let error = import(&store, &lines[..], ImportOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "lines 1 and 3 both have key /a");
    assert_eq!(store.list("/").unwrap(), before);
}

/// Reads nothing for good, and writes before every commit.
#[derive(Debug)]
struct Busy(Memory);

impl Store for Busy {
    pass_on!([.0] get list list_keys watch);

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        put(&self.0, "/a", "theirs");
        self.0.commit(commit)
    }
}

fn others_who_write_stop_an_import() {
    let store = Busy(Memory::new());
    let lines = b"{\"key\":\"/a\",\"value\":1}\n{\"key\":\"/b\",\"value\":1}\n";
    let error = import(&store, &lines[..], ImportOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "others changed the store during each of 8 attempts"
    );
    assert_eq!(stored(&store.0), [("/a".to_owned(), b"theirs".to_vec())]);
}
