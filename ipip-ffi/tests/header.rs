//! The committed header is the one that cbindgen writes. `IPIP_BLESS=1` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};

/// The files that export something, in the order of the header.
const ORDER: [&str; 53] = [
    "status",
    "error",
    "version",
    "log",
    "addr",
    "wire",
    "ipv4",
    "ipip",
    "exit",
    "fragment",
    "loops",
    "batch",
    "encapsulator",
    "echo",
    "icmp_error",
    "tunnel_error",
    "tunnel_state",
    "peers",
    "assignment",
    "block",
    "pool",
    "config",
    "reservation",
    "node_record",
    "store",
    "records",
    "ipam",
    "outcome",
    "many",
    "admin",
    "nodes",
    "usage",
    "report",
    "netns",
    "changes",
    "tunnel",
    "workload",
    "route",
    "node_guard",
    "node_progress",
    "node_config",
    "node_report",
    "node",
    "node_attach",
    "node_run",
    "node_traffic",
    "frame",
    "capture",
    "reader",
    "pcap",
    "filter",
    "finding",
    "journey",
];

/// Files that export nothing, or nothing that programs may use.
const INTERNAL: [&str; 3] = ["lib", "boundary", "hooks"];

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(name)
        .with_extension("rs")
}

/// The conventions: what lib.rs says of the crate, as a C comment.
fn head() -> String {
    let text = fs::read_to_string(source("lib")).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    // The last paragraph is about the sources.
    let lines: Vec<_> = lines
        .take_while(|line| !line.contains("One C object per file"))
        .collect();
    let lines: String = lines.iter().map(|line| format!(" *{line}\n")).collect();
    format!(
        "/*\n{} */",
        lines.trim_end_matches([' ', '*', '\n']).to_owned() + "\n"
    )
}

fn versions() -> String {
    format!(
        "/** The version of this header. */\n#define IPIP_VERSION_MAJOR {}\n#define IPIP_VERSION_MINOR {}\n\
         #define IPIP_VERSION_PATCH {}\n#define IPIP_VERSION \"{}\"",
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
        env!("CARGO_PKG_VERSION"),
    )
}

fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    config.header = Some(head());
    config.after_includes = Some(format!("\n{}", versions()));
    let builder = ORDER.iter().fold(
        cbindgen::Builder::new().with_config(config),
        |builder, name| builder.with_src(source(name)),
    );
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    let text = String::from_utf8(text).unwrap();
    text.replace(" * # Safety\n", " * The caller sees to it that:\n")
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/ipip.h");
    let generated = generated();
    if std::env::var_os("IPIP_BLESS").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = committed
        .lines()
        .zip(generated.lines())
        .enumerate()
        .find(|(_, (a, b))| a != b);
    assert!(
        committed == generated,
        "include/ipip.h is not what the sources say (first difference: {differs:?}); IPIP_BLESS=1 writes it anew"
    );
}

#[test]
fn every_source_file_is_in_the_header_or_internal() {
    let mut found: Vec<String> = fs::read_dir(source("lib").parent().unwrap())
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mut known: Vec<_> = ORDER
        .iter()
        .chain(&INTERNAL)
        .map(ToString::to_string)
        .collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}
