//! The packet vectors of `tests/vectors/`, which scapy built and read; see the README there.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::iter::successors;
use std::net::Ipv4Addr;
use std::path::Path;

use ipip_core::addr::NodeAddr;
use ipip_core::mtu::TunnelMtu;
use ipip_core::wire::{
    DontFragment, DscpPolicy, EchoKind, EchoView, EcnPolicy, Endpoints, FragmentError, Fragments,
    HEADER_LEN, IcmpError, IcmpErrorView, IpipView, Ipv4View, Layer, MAX_ICMP_ERROR_LEN, Outer,
    PartialChecksum, Quoted, Relay, RelayContext, RelayError, Ttl, TunnelError, Urgency, clamp_mss,
    decapsulate, decapsulate_in_place, encapsulate, finish_partial_checksum,
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

/// The name of an error and its message with those of its causes.
fn words(error: impl Error + 'static) -> (String, String) {
    let debug = format!("{error:?}");
    let name = debug.split(' ').next().unwrap();
    // Not `ipip_core::error_chain`: these tests also run where the codec is built on core alone.
    let causes = successors(Some(&error as &dyn Error), |&error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    (name.to_owned(), texts.join(": "))
}

#[test]
fn bad_packets_are_refused_with_their_own_error() {
    type Call = fn(&Vector) -> Result<(), (String, String)>;
    let calls: [(&str, Call); 7] = [
        ("parse", |v| {
            IpipView::parse(&v.octets).map(drop).map_err(words)
        }),
        ("decapsulate", |v| {
            decapsulate(&v.octets).map(drop).map_err(words)
        }),
        ("decapsulate_in_place", |v| {
            let mut octets = v.octets.clone();
            let refused = decapsulate_in_place(&mut octets).map(drop);
            assert_eq!(octets, v.octets, "{}", v.name);
            refused.map_err(words)
        }),
        ("echo", |v| {
            EchoView::parse(&v.octets).map(drop).map_err(words)
        }),
        ("fragments", |v| cut(v).map(drop).map_err(words)),
        ("icmp_error", |v| {
            IcmpErrorView::parse(&v.octets).map(drop).map_err(words)
        }),
        ("tunnel_error", |v| {
            let view = IcmpErrorView::parse(&v.octets).unwrap();
            tunnel_error(&view, &v.table).map(drop).map_err(words)
        }),
    ];
    for (call, function) in calls {
        for vector in vectors(call, false) {
            let Vector { name, table, .. } = &vector;
            let (kind, message) = function(&vector).expect_err(name);
            assert_eq!(kind, table["expect"], "{name}");
            assert_eq!(message, table["message"], "{name}");
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

#[test]
fn rfc6040_section_4_2_what_leaves_a_tunnel_is_as_the_figure_says() {
    let (mut rows, figure) = (0, vectors("decapsulate_in_place", true));
    for Vector {
        name,
        table,
        mut octets,
    } in figure
    {
        let inner = decapsulate_in_place(&mut octets).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(hex(inner.packet), table["packet"], "{name}");
        let alarm = inner.alarm.map(|alarm| {
            let fields = [alarm.inner, alarm.outer].map(|ecn| ecn.value().to_string());
            assert_eq!(fields, [&*table["inner"], &*table["outer"]], "{name}");
            alarm.urgency
        });
        let word = match alarm {
            None => "none",
            Some(Urgency::MayLog) => "may_log",
            Some(Urgency::ShouldLog) => "should_log",
        };
        assert_eq!(word, table["alarm"], "{name}");
        rows += 1;
    }
    assert_eq!(rows, 15, "the sixteenth is a drop");
}

/// The fragments of a vector's packet.
fn cut(vector: &Vector) -> Result<Vec<Vec<u8>>, FragmentError> {
    let packet = Ipv4View::parse(&vector.octets, Layer::Inner).unwrap();
    let mtu = TunnelMtu::try_new(vector.table["mtu"].parse().unwrap()).unwrap();
    let emit = |fragment: ipip_core::wire::Fragment<'_>| {
        let mut buffer = vec![0xa5; fragment.len()];
        fragment.emit(&mut buffer).unwrap();
        buffer
    };
    Ok(Fragments::new(&packet, mtu)?.map(emit).collect())
}

#[test]
fn packets_are_cut_as_scapy_cuts_them() {
    for vector in vectors("fragments", true) {
        let mut found = Table::new();
        let fragments = cut(&vector).unwrap();
        found.insert("count".into(), fragments.len().to_string());
        for (i, fragment) in fragments.iter().enumerate() {
            found.insert(format!("fragment.{i}"), hex(fragment));
        }
        let mut expected = expected(&vector.table);
        expected.remove("mtu");
        assert_eq!(found, expected, "{}", vector.name);
    }
}

#[test]
fn segments_are_clamped_as_scapy_builds_them() {
    for vector in vectors("clamp_mss", true) {
        let mut packet = vector.octets.clone();
        let mtu = TunnelMtu::try_new(vector.table["mtu"].parse().unwrap()).unwrap();
        let before = clamp_mss(&mut packet, mtu).unwrap();
        let before = before.map_or("none".into(), |mss| mss.to_string());
        assert_eq!(before, vector.table["before"], "{}", vector.name);
        assert_eq!(hex(&packet), vector.table["packet"], "{}", vector.name);
    }
}

/// As the vectors write what an error says.
fn error_words(error: IcmpError) -> String {
    match error {
        IcmpError::Unreachable { code } => format!("unreachable {code}"),
        IcmpError::FragmentationNeeded { mtu } => format!("fragmentation_needed {mtu}"),
        IcmpError::SourceQuench => "source_quench".into(),
        IcmpError::Redirect { code, gateway } => format!("redirect {code} {gateway}"),
        IcmpError::TimeExceeded { code } => format!("time_exceeded {code}"),
        IcmpError::ParameterProblem { code, pointer } => {
            format!("parameter_problem {code} {pointer}")
        }
    }
}

#[test]
fn icmp_errors_read_and_are_written_as_scapy_does() {
    for Vector {
        name,
        table,
        octets,
    } in vectors("icmp_error", true)
    {
        let view = IcmpErrorView::parse(&octets).unwrap_or_else(|e| panic!("{name}: {e}"));
        let quoted = Quoted::parse(view.quoted(), Layer::Inner).unwrap();
        let mut found = Table::from(
            [
                ("source", quoted.source.to_string()),
                ("destination", quoted.destination.to_string()),
                ("protocol", quoted.protocol.to_string()),
                ("dont_fragment", quoted.dont_fragment.to_string()),
                (
                    "fragment_offset",
                    quoted.fragment_offset.units().to_string(),
                ),
                ("total_len", quoted.total_len.to_string()),
                ("header_len", quoted.header_len.to_string()),
                ("may_be_answered", quoted.may_be_answered().to_string()),
                ("payload", hex(quoted.payload)),
            ]
            .map(|(key, value)| (format!("quoted.{key}"), value)),
        );
        found.insert("error".into(), error_words(view.error()));
        found.insert("quoted".into(), hex(view.quoted()));
        let mut built = [0xa5; MAX_ICMP_ERROR_LEN];
        let router = Ipv4Addr::new(172, 18, 0, 9);
        let len = view
            .error()
            .emit(router, view.quoted(), &mut built)
            .unwrap();
        found.insert("packet_header".into(), hex(&built[..20]));
        assert_eq!(found, expected(&table), "{name}");
        assert_eq!(hex(&built[20..len]), hex(&octets), "{name}");
    }
}

fn tunnel_error<'a>(
    view: &IcmpErrorView<'a>,
    table: &Table,
) -> Result<TunnelError<'a>, RelayError> {
    TunnelError::parse(view, &endpoints(table))
}

fn endpoints(table: &Table) -> Endpoints {
    let addr = |key: &str| NodeAddr(table[key].parse().unwrap());
    Endpoints {
        local: addr("local"),
        remote: addr("remote"),
    }
}

#[test]
fn rfc2003_section_4_errors_from_inside_a_tunnel_are_relayed_row_by_row() {
    for Vector {
        name,
        table,
        octets,
    } in vectors("tunnel_error", true)
    {
        let view = IcmpErrorView::parse(&octets).unwrap();
        let error = tunnel_error(&view, &table).unwrap_or_else(|e| panic!("{name}: {e}"));
        let context = RelayContext {
            mtu: TunnelMtu::try_new(table["context_mtu"].parse().unwrap()).unwrap(),
            same_network: table["same_network"] == "true",
        };
        let outer = Outer::tunl0(endpoints(&table));
        let (action, told) = match error.relay(&outer, context) {
            Relay::Send(told) => ("send", error_words(told)),
            Relay::Remember(told) => ("remember", error_words(told)),
            Relay::Keep => ("keep", "nothing".into()),
        };
        let mtu = error.mtu().map_or("none".into(), |mtu| mtu.to_string());
        assert_eq!(
            (action, &told),
            (&*table["action"], &table["told"]),
            "{name}"
        );
        assert_eq!(mtu, table["mtu"], "{name}");
        assert_eq!(hex(error.original), table["original"], "{name}");
        assert_eq!(error.inner.is_some().to_string(), table["inner"], "{name}");
    }
}
