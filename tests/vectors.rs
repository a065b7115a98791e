//! The packet vectors of `tests/vectors/`, which scapy built and read; see the README there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{
    DontFragment, DscpPolicy, EchoKind, EchoView, EcnPolicy, Endpoints, HEADER_LEN, IpipView,
    Ipv4View, Layer, Outer, PartialChecksum, Ttl, WireError, decapsulate, encapsulate,
    finish_partial_checksum,
};

/// Field names with their values as text.
type Table = BTreeMap<String, String>;

struct Vector {
    name: String,
    table: Table,
    octets: Vec<u8>,
}

fn load() -> Vec<Vector> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let mut vectors: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            let (mut table, mut octets) = (Table::new(), Vec::new());
            for line in fs::read_to_string(&path).unwrap().lines() {
                if let Some(pair) = line.strip_prefix("# ") {
                    let (key, value) = pair.split_once(": ").unwrap();
                    table.insert(key.into(), value.into());
                } else {
                    let row = line
                        .split(' ')
                        .map(|hex| u8::from_str_radix(hex, 16).unwrap());
                    octets.extend(row);
                }
            }
            let name = path.file_stem().unwrap().to_str().unwrap().into();
            Vector {
                name,
                table,
                octets,
            }
        })
        .collect();
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    vectors
}

/// The vectors for `call` that are good (or bad).
fn vectors(call: &str, good: bool) -> Vec<Vector> {
    let mut found = load();
    found.retain(|v| v.table["call"] == call && v.table.contains_key("expect") != good);
    assert!(!found.is_empty(), "no vectors for {call}");
    found
}

/// The part of a table that says what the call should find.
fn expected(table: &Table) -> Table {
    let mut expected = table.clone();
    expected.retain(|key, _| !["tool", "version", "command", "call"].contains(&key.as_str()));
    expected
}

fn hex(octets: &[u8]) -> String {
    if octets.is_empty() {
        return "none".into();
    }
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn fields(name: &str, view: &Ipv4View<'_>) -> Table {
    [
        ("header_len", view.header_len().to_string()),
        ("total_len", view.total_len().to_string()),
        ("dscp", view.dscp().value().to_string()),
        ("ecn", view.ecn().value().to_string()),
        ("identification", format!("{:#06x}", view.identification())),
        ("dont_fragment", view.dont_fragment().to_string()),
        ("more_fragments", view.more_fragments().to_string()),
        (
            "fragment_offset",
            view.fragment_offset().units().to_string(),
        ),
        ("ttl", view.ttl().to_string()),
        ("protocol", view.protocol().to_string()),
        ("checksum", format!("{:#06x}", view.checksum())),
        ("source", view.source().to_string()),
        ("destination", view.destination().to_string()),
        ("options", hex(view.options())),
    ]
    .map(|(field, value)| (format!("{name}.{field}"), value))
    .into()
}

#[test]
fn good_packets_read_as_scapy_reads_them() {
    for Vector {
        name,
        table,
        octets,
    } in vectors("parse", true)
    {
        let view = IpipView::parse(&octets).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut found = fields("outer", &view.outer);
        found.extend(fields("inner", &view.inner));
        found.insert("inner.payload".into(), hex(view.inner.payload()));
        assert_eq!(found, expected(&table), "{name}");

        let inner = decapsulate(&octets).unwrap();
        assert_eq!(inner, &octets[view.inner_range()], "{name}");
        assert_eq!(
            hex(&inner[view.inner.header_len()..]),
            table["inner.payload"]
        );
    }
}

/// Every outer header without options and flags beyond DF that scapy built, we build too.
#[test]
fn good_packets_are_built_as_scapy_builds_them() {
    let mut built = 0;
    for Vector { name, octets, .. } in vectors("parse", true) {
        let view = IpipView::parse(&octets).unwrap();
        let outer = view.outer;
        let unusual = ["reserved_flag", "padded_within_outer"].contains(&name.as_str());
        if unusual || !outer.options().is_empty() {
            continue;
        }
        let parameters = Outer {
            ttl: Ttl::Fixed(outer.ttl().try_into().unwrap()),
            dscp: DscpPolicy::Fixed(outer.dscp()),
            ecn: if outer.ecn() == view.inner.ecn() {
                EcnPolicy::Normal
            } else {
                EcnPolicy::Compatibility
            },
            dont_fragment: if outer.dont_fragment() && !view.inner.dont_fragment() {
                DontFragment::Always
            } else {
                DontFragment::Inherit
            },
            identification: outer.identification(),
            endpoints: Endpoints {
                local: NodeAddr(outer.source()),
                remote: NodeAddr(outer.destination()),
            },
        };
        // 7 octets more than the least headroom, and a tail that must stay out of the packet.
        let mut buffer = vec![0xa5; 7 + HEADER_LEN];
        buffer.extend(view.inner.packet());
        buffer.extend([0xa5; 9]);
        let packet = encapsulate(&mut buffer, 7 + HEADER_LEN, &parameters).unwrap();
        assert_eq!(hex(packet), hex(outer.packet()), "{name}");
        assert_eq!(
            (&buffer[..7], &buffer[buffer.len() - 9..]),
            (&[0xa5; 7][..], &[0xa5; 9][..])
        );
        built += 1;
    }
    assert!(built > 0, "no vector was built");
}

#[test]
fn bad_packets_are_refused_with_their_own_error() {
    type Call = fn(&[u8]) -> Result<(), WireError>;
    let calls: [(&str, Call); 3] = [
        ("parse", |octets| IpipView::parse(octets).map(drop)),
        ("decapsulate", |octets| decapsulate(octets).map(drop)),
        ("echo", |octets| EchoView::parse(octets).map(drop)),
    ];
    for (call, function) in calls {
        for Vector {
            name,
            table,
            octets,
        } in vectors(call, false)
        {
            let error = function(&octets).expect_err(&name);
            let debug = format!("{error:?}");
            let kind = debug.split(' ').next().unwrap();
            assert_eq!(kind, table["expect"], "{name}");
            assert_eq!(error.to_string(), table["message"], "{name}");
        }
    }
}

#[test]
fn echo_messages_read_as_scapy_reads_them() {
    for Vector {
        name,
        table,
        octets,
    } in vectors("echo", true)
    {
        let view = EchoView::parse(&octets).unwrap_or_else(|error| panic!("{name}: {error}"));
        let kind = match view.kind() {
            EchoKind::Request => "request",
            EchoKind::Reply => "reply",
        };
        let found = Table::from(
            [
                ("kind", kind.into()),
                ("identifier", format!("{:#06x}", view.identifier())),
                ("sequence", view.sequence().to_string()),
                ("checksum", format!("{:#06x}", view.checksum())),
                ("data", hex(view.data())),
            ]
            .map(|(key, value): (&str, String)| (key.into(), value)),
        );
        assert_eq!(found, expected(&table), "{name}");

        let mut built = octets.clone();
        built[..8].fill(0xa5);
        view.header().emit(&mut built).unwrap();
        assert_eq!(hex(&built), hex(&octets), "{name}");
    }
}

#[test]
fn partial_checksums_are_finished_as_scapy_computes_them() {
    for Vector {
        name,
        table,
        octets,
    } in vectors("finish_partial_checksum", true)
    {
        let mut inner = octets.clone();
        let result = finish_partial_checksum(&mut inner).unwrap();
        let PartialChecksum::Finished { checksum } = result else {
            panic!("{name}: {result:?}");
        };
        assert_eq!(format!("{checksum:#06x}"), table["checksum"], "{name}");

        let view = Ipv4View::parse(&octets, Layer::Inner).unwrap();
        let field = view.header_len() + if view.protocol() == 6 { 16 } else { 6 };
        let mut by_hand = octets.clone();
        by_hand[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(hex(&inner), hex(&by_hand), "{name}");
        assert_eq!(
            finish_partial_checksum(&mut inner),
            Ok(PartialChecksum::NotPartial),
            "{name}, a second time"
        );
    }
}
