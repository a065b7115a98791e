//! The arrows between the rooms: reads the sources and fails on one that points up.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may know. `sys` stands below those that touch the world.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("addr", &[]),
    ("name", &[]),
    ("mtu", &[]),
    ("error_chain", &[]),
    ("peers", &["addr"]),
    ("wire", &["addr", "mtu"]),
    ("sys", &["name"]),
    ("resource", &["addr", "name"]),
    ("datastore", &["addr", "name", "sys"]),
    ("ipam", &["addr", "name", "resource", "datastore"]),
    ("cluster", &["addr", "name", "resource", "datastore"]),
    ("plan", &["addr", "name", "mtu"]),
    (
        "overlay",
        &[
            "addr", "name", "mtu", "peers", "resource", "cluster", "plan",
        ],
    ),
    ("netlink", &["addr", "name", "plan", "sys"]),
    (
        "datapath",
        &[
            "error_chain",
            "addr",
            "name",
            "mtu",
            "wire",
            "peers",
            "plan",
            "netlink",
            "sys",
        ],
    ),
    ("capture", &["addr", "name", "peers", "wire", "sys"]),
    (
        "node",
        &[
            "error_chain",
            "addr",
            "name",
            "mtu",
            "peers",
            "resource",
            "cluster",
            "overlay",
            "plan",
            "netlink",
            "datapath",
            "ipam",
            "datastore",
            "sys",
        ],
    ),
];

/// Crates that only some rooms may name: the rest of the tree must not know that they are there.
const FENCED: &[(&str, &[&str])] = &[
    ("Command::new(", &["netlink"]),
    ("netlink_packet_route", &["netlink"]),
    ("netlink_packet_core", &["netlink"]),
    ("netlink_sys", &["netlink"]),
    (
        "serde_json",
        &["resource", "capture", "datastore", "netlink"],
    ),
    ("libc::", &["sys", "netlink", "datapath", "capture"]),
    ("pcap_parser", &["capture"]),
    ("rusqlite", &["datastore"]),
    ("base64::", &["datastore"]),
    ("byteorder", &["wire", "netlink", "capture"]),
];

/// Each source file with the room it is in; unit tests and what they need are no part of a room.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let inside = path.strip_prefix(&root).unwrap();
            let first = inside
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_string_lossy();
            let room = first.trim_end_matches(".rs").to_owned();
            let is_test = inside
                .components()
                .any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
            if room == "lib" || is_test || inside.ends_with("naive_kernel.rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let code = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            found.push((room, inside.to_owned(), code));
        }
    }
    found
}

/// The rooms named behind `crate::`, alone or in braces.
fn known_rooms(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let inside = rest
            .strip_prefix('{')
            .and_then(|list| list.split_once("};"));
        let names = inside.map_or(
            rest.split([':', ';', ' ', ')', ','])
                .next()
                .map(str::to_owned)
                .into_iter()
                .collect(),
            |(list, _)| {
                list.split(',')
                    .map(|item| item.trim().split("::").next().unwrap().to_owned())
                    .collect::<Vec<_>>()
            },
        );
        rooms.extend(
            names
                .into_iter()
                .filter(|name| MAY_KNOW.iter().any(|(room, _)| room == name)),
        );
    }
    rooms
}

#[test]
fn arrows_go_down_only() {
    let allowed: BTreeMap<_, _> = MAY_KNOW.iter().copied().collect();
    let mut wrong = Vec::new();
    for (room, path, code) in sources() {
        let below = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("{room} is not in the table of rooms"));
        for known in known_rooms(&code) {
            if known != room && !below.contains(&known.as_str()) {
                wrong.push(format!("{}: {room} knows {known}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn crates_stay_behind_their_fences() {
    let mut wrong = Vec::new();
    for (room, path, code) in sources() {
        for (fenced, rooms) in FENCED {
            if code.contains(fenced) && !rooms.contains(&room.as_str()) {
                wrong.push(format!("{}: {room} names {fenced}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Outside `sys`: what chooses between two builds of the checksum.
const CHECKSUM_DISPATCH: &str = "wire/checksum/avx2.rs";

#[test]
fn only_sys_and_the_checksum_dispatch_are_unsafe() {
    let unsafe_code = |code: &str| {
        code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
    };
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|(room, path, code)| {
            room != "sys" && path != Path::new(CHECKSUM_DISPATCH) && unsafe_code(code)
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{:?}",
        wrong.iter().map(|(_, path, _)| path).collect::<Vec<_>>()
    );
}

/// A file is read in one sitting. The stubs of the Python module are a list, which its one module cannot
/// spread over files.
#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut wrong = Vec::new();
    let mut open: Vec<_> = [
        "ipip-core",
        "ipip-ffi",
        "ipip-py",
        "tests",
        "examples",
        "benches",
    ]
    .map(|d| root.join(d))
    .into();
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|ext| ["rs", "py", "c"].iter().any(|e| ext == *e))
            {
                let lines = fs::read_to_string(&path).unwrap().lines().count();
                if lines > 500 {
                    wrong.push(format!("{} has {lines} lines", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
