//! No error of the library is without a status of its own choosing. The error enums may grow, so the compiler does not
//! see a forgotten variant: this reads the sources.

use std::fs;
use std::path::Path;

/// The error's name, the file that declares it, the file that gives it a status.
const ERRORS: [(&str, &str, &str); 16] = [
    ("WireError", "wire/error", "wire"),
    ("FragmentError", "wire/error", "fragment"),
    ("LoopError", "wire/error", "loops"),
    ("RelayError", "wire/error", "tunnel_error"),
    ("PeerError", "peers", "peers"),
    ("BatchError", "wire/error", "batch"),
    ("BlockError", "resource/error", "assignment"),
    ("IpamError", "ipam/error", "ipam"),
    ("NodeError", "node/error", "changes"),
    ("NetlinkError", "netlink/error", "changes"),
    ("NetnsError", "sys/netns", "netns"),
    ("CaptureError", "capture/error", "capture"),
    ("StoreError", "datastore/error", "store"),
    ("TransferError", "datastore/transfer", "store"),
    ("PcapError", "capture/error", "pcap"),
    ("ReadError", "capture/error", "reader"),
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The variants of `pub enum NAME` in a formatted source.
fn variants(source: &str, name: &str) -> Vec<String> {
    let start = source.find(&format!("pub enum {name} {{")).unwrap();
    let lines = source[start..]
        .lines()
        .skip(1)
        .take_while(|line| *line != "}");
    lines
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| {
            line.split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn every_error_has_a_status() {
    for (name, declared, mapped) in ERRORS {
        let variants = variants(&read(&format!("ipip-core/src/{declared}.rs")), name);
        assert!(!variants.is_empty(), "{name}: {variants:?}");
        let mapping = read(&format!("ipip-ffi/src/{mapped}.rs"));
        let missing: Vec<_> = variants
            .iter()
            .filter(|variant| {
                let path = format!("{name}::{variant}");
                let whole = |at: usize| {
                    !mapping[at + path.len()..].starts_with(|c: char| c.is_alphanumeric())
                };
                !mapping.match_indices(&path).any(|(at, _)| whole(at))
            })
            .collect();
        assert!(
            missing.is_empty(),
            "{name} without a status in {mapped}.rs: {missing:?}"
        );
    }
}

/// What stands after `from` and before `,` on the line of `source` that begins with `name`, which is not the
/// beginning of a longer one.
fn value_of<'a>(source: &'a str, name: &str, from: &str) -> Option<&'a str> {
    source.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(name)?;
        let rest = rest.starts_with([' ', '{', '(']).then_some(rest)?;
        rest.split_once(from)?.1.strip_suffix(',')
    })
}

/// A batch states the core's numbers as they are, a single call those of status.rs.
#[test]
fn the_numbers_of_packet_errors_are_those_of_the_core() {
    let statuses = read("ipip-ffi/src/status.rs");
    // The first ones are about packets.
    for (name, declared, mapped) in &ERRORS[..5] {
        let core = read(&format!("ipip-core/src/{declared}.rs"));
        let mapping = read(&format!("ipip-ffi/src/{mapped}.rs"));
        for variant in variants(&core, name) {
            let code = value_of(&core, &format!("Self::{variant}"), "=> ");
            let path = format!("{name}::{variant}");
            let status = value_of(&mapping, &path, "=> ipip_status::");
            let number = value_of(&statuses, status.expect(&variant), "= ");
            assert!(code.is_some(), "{variant}");
            assert_eq!(code, number, "{variant}");
        }
    }
}

/// Every exported function does its work where a panic is caught.
#[test]
fn every_function_is_guarded() {
    let mut seen = 0;
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for exported in source.split("#[unsafe(no_mangle)]").skip(1) {
            let body = exported
                .split_once("{\n")
                .unwrap()
                .1
                .split("\n}")
                .next()
                .unwrap();
            let first = body.trim_start();
            let name = exported
                .split("fn ")
                .nth(1)
                .unwrap()
                .split('(')
                .next()
                .unwrap();
            // The version is a constant.
            // Where a parameter has the name, the function goes by another.
            let guarded = first.starts_with("guard(|| ")
                || first.starts_with("bounded(|| ")
                || first.starts_with("or(")
                || name == "ipip_version";
            assert!(guarded, "{name}: {first}");
            seen += 1;
        }
    }
    assert!(seen >= 70, "{seen}");
}
