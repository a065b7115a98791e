use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::resource::ResourceError;

fn read(text: &str) -> Pool {
    Pool::from_json(text.as_bytes()).unwrap().unwrap()
}

fn with_spec(fields: &str) -> String {
    format!(r#"{{"metadata":{{"name":"p"}},"spec":{{"cidr":"10.0.0.0/24"{fields}}}}}"#)
}

fn fault(fields: &str) -> ResourceError {
    Pool::from_json(with_spec(fields).as_bytes()).unwrap_err()
}

fn written(pool: &Pool) -> String {
    String::from_utf8(pool.to_json()).unwrap()
}

fn zone(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("zone".to_owned(), value.to_owned())])
}

#[test]
fn every_field_is_written_in_calicos_order() {
    let pool = Pool::try_new("p", "10.0.0.0/24".parse().unwrap(), 28)
        .unwrap()
        .with_ipip_mode(IpipMode::CrossSubnet)
        .with_nat_outgoing(true)
        .with_disabled(true)
        .with_disable_bgp_export(true)
        .with_node_selector("zone == 'west'".parse().unwrap())
        .with_namespace_selector("has(team)".parse().unwrap())
        .with_allowed_uses(&[Use::LoadBalancer, Use::Workload, Use::Workload])
        .with_assignment_mode(AssignmentMode::Manual);
    let text = r#"{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"p","creationTimestamp":null},"spec":{"cidr":"10.0.0.0/24","vxlanMode":"Never","ipipMode":"CrossSubnet","natOutgoing":true,"disabled":true,"disableBGPExport":true,"blockSize":28,"nodeSelector":"zone == 'west'","namespaceSelector":"has(team)","allowedUses":["Workload","LoadBalancer"],"assignmentMode":"Manual"}}"#;
    assert_eq!(written(&pool), text);
    assert_eq!(read(text), pool);
    assert!(pool.nat_outgoing() && pool.is_disabled() && pool.disable_bgp_export());
    assert_eq!(
        pool.allowed_uses().collect::<Vec<_>>(),
        [Use::Workload, Use::LoadBalancer]
    );
    assert_eq!(pool.assignment_mode(), AssignmentMode::Manual);
    assert_eq!(pool.node_selector().unwrap().as_str(), "zone == 'west'");
    assert_eq!(pool.namespace_selector().unwrap().as_str(), "has(team)");
}

/// Fields of the spec, whether a node in the west is selected, whether one without labels is.
#[test]
fn a_pool_selects_nodes_by_their_labels() {
    for (fields, west, bare) in [
        ("", true, true),
        (r#","nodeSelector":"""#, true, true),
        (r#","nodeSelector":"all()""#, true, true),
        (r#","nodeSelector":"zone == 'west'""#, true, false),
        (r#","nodeSelector":"!has(zone)""#, false, true),
        (r#","nodeSelector":"zone = 'west'""#, false, false),
        (r#","namespaceSelector":"all()""#, true, true),
        (r#","namespaceSelector":"has(team)""#, false, false),
        (r#","assignmentMode":"Manual""#, false, false),
        (r#","assignmentMode":"Later""#, false, false),
        (r#","disabled":true"#, false, false),
    ] {
        let pool = read(&with_spec(fields));
        let found = (pool.selects(&zone("west")), pool.selects(&BTreeMap::new()));
        assert_eq!(found, (west, bare), "{fields}");
    }
    let text = with_spec(r#","nodeSelector":"zone = 'west'""#);
    let malformed = read(&text);
    assert!(
        malformed
            .node_selector()
            .unwrap_err()
            .to_string()
            .starts_with("at octet 5: ")
    );
    assert!(
        written(&malformed).contains("zone = 'west'"),
        "kept, so that its owner can see it"
    );
}

#[test]
fn uses_are_those_listed_or_calicos_default() {
    let uses = |fields: &str| read(&with_spec(fields)).allowed_uses().collect::<Vec<_>>();
    assert_eq!(uses(""), Use::DEFAULT);
    assert_eq!(uses(r#","allowedUses":[]"#), Use::DEFAULT);
    assert_eq!(
        uses(r#","allowedUses":["LoadBalancer","Later"]"#),
        [Use::LoadBalancer]
    );
    let later = read(&with_spec(r#","allowedUses":["Later"]"#));
    assert!(!Use::ALL.into_iter().any(|one| later.allows(one)));
    assert!(written(&later).contains(r#""allowedUses":["Later"]"#));
}

#[test]
fn conditions_and_deletion_disable_and_stay() {
    for (metadata, status, enabled) in [
        ("", "{}", true),
        (
            "",
            r#"{"conditions":[{"type":"Allocatable","status":"True"}]}"#,
            true,
        ),
        (
            "",
            r#"{"conditions":[{"type":"Other","status":"False"},{"type":"Allocatable","status":"Unknown"}]}"#,
            true,
        ),
        (
            "",
            r#"{"conditions":[{"type":"Allocatable","status":"False","reason":"Overlap","observedGeneration":18446744073709551615}]}"#,
            false,
        ),
        (
            r#","deletionTimestamp":"2026-08-22T13:30:00Z","deletionGracePeriodSeconds":0"#,
            "{}",
            false,
        ),
    ] {
        let text = format!(
            r#"{{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{{"name":"p","creationTimestamp":null{metadata}}},"spec":{{"cidr":"10.0.0.0/24","blockSize":26}},"status":{status}}}"#
        );
        let pool = read(&text);
        assert_eq!(pool.is_enabled(), enabled, "{text}");
        assert_eq!(pool.is_being_deleted(), !metadata.is_empty());
        assert_eq!(written(&pool), text);
    }
    let text = with_spec("").replacen('{', r#"{"status":{"conditions":{}},"#, 1);
    let message = Pool::from_json(text.as_bytes()).unwrap_err().to_string();
    assert!(message.starts_with("field conditions: "), "{message}");
}

#[test]
fn wrong_shapes_name_the_field() {
    for (fields, field) in [
        (r#","blockSize":"26""#, "blockSize"),
        (r#","blockSize":256"#, "blockSize"),
        (r#","natOutgoing":"yes""#, "natOutgoing"),
        (r#","disabled":1"#, "disabled"),
        (r#","disableBGPExport":{}"#, "disableBGPExport"),
        (r#","nodeSelector":["all()"]"#, "nodeSelector"),
        (r#","namespaceSelector":0"#, "namespaceSelector"),
        (r#","allowedUses":"Workload""#, "allowedUses"),
        (r#","assignmentMode":true"#, "assignmentMode"),
        (r#","vxlanMode":"vxlan""#, "vxlanMode"),
    ] {
        let message = fault(fields).to_string();
        assert!(
            message.starts_with(&format!("field {field}: ")),
            "{message}"
        );
    }
    assert_eq!(
        fault(r#","vxlanMode":"CrossSubnet","ipipMode":"Always""#).to_string(),
        "pool p: ipip mode Always and vxlan mode CrossSubnet exclude each other"
    );
}

#[test]
fn an_update_takes_what_may_change_and_keeps_the_rest() {
    let stored = r#"{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"p","uid":"u","creationTimestamp":"2026-08-22T13:30:00Z","annotations":{"a":"b"}},"spec":{"cidr":"10.0.0.0/24","ipipMode":"Always","blockSize":26,"nodeSelector":"all()","later":18446744073709551615},"status":{"x":1}}"#;
    let wanted = Pool::try_new("p", "10.0.0.0/24".parse().unwrap(), 26).unwrap();
    let wanted = wanted
        .with_disabled(true)
        .with_node_selector("has(a)".parse().unwrap());
    assert_eq!(
        written(&read(stored).updated(&wanted).unwrap()),
        r#"{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"p","uid":"u","creationTimestamp":"2026-08-22T13:30:00Z","annotations":{"a":"b"}},"spec":{"cidr":"10.0.0.0/24","vxlanMode":"Never","ipipMode":"Never","disabled":true,"blockSize":26,"nodeSelector":"has(a)","allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic","later":18446744073709551615},"status":{"x":1}}"#
    );
}

#[test]
fn what_may_not_change_is_refused_with_the_reason() {
    let stored = read(&with_spec(""));
    let other =
        |name: &str, cidr: &str, len: u8| Pool::try_new(name, cidr.parse().unwrap(), len).unwrap();
    for (wanted, message) in [
        (
            other("q", "10.0.0.0/24", 26),
            "pool p cannot become q: a pool is never renamed",
        ),
        (
            other("p", "10.0.0.0/23", 26),
            "pool p: 10.0.0.0/24 cannot become 10.0.0.0/23: blocks and addresses in use would be in no pool; create another pool and delete this one",
        ),
        (
            other("p", "10.0.0.0/24", 28),
            "pool p: block size /26 cannot become /28: new blocks would overlap those in use; create another pool and delete this one",
        ),
        (
            read(&with_spec(r#","vxlanMode":"Always""#)).with_ipip_mode(IpipMode::Always),
            "pool p: ipip mode Always and vxlan mode Always exclude each other",
        ),
    ] {
        assert_eq!(stored.updated(&wanted).unwrap_err().to_string(), message);
    }
}

/// The fields of a spec, each there or not, with values that its type allows.
fn specs() -> impl Strategy<Value = String> {
    let texts = |name: &'static str, values: &'static [&'static str]| {
        prop::option::of(
            prop::sample::select(values).prop_map(move |value| format!(r#","{name}":{value}"#)),
        )
    };
    (
        texts("ipipMode", &[r#""Always""#, r#""Never""#, r#""""#, "null"]),
        texts("natOutgoing", &["true", "false", "null"]),
        texts("disabled", &["true", "false"]),
        texts("disableBGPExport", &["true", "false"]),
        texts("blockSize", &["0", "26", "32", "null"]),
        texts(
            "nodeSelector",
            &[r#""all()""#, r#""a == 'b'""#, r#""a ==""#, "null"],
        ),
        texts("namespaceSelector", &[r#""""#, r#""has(a)""#]),
        texts(
            "allowedUses",
            &["[]", r#"["Tunnel"]"#, r#"["Later"]"#, "null"],
        ),
        texts("assignmentMode", &[r#""Manual""#, r#""Later""#, "null"]),
        texts(
            "later",
            &[
                "null",
                "[1.50]",
                "18446744073709551615",
                r#"{"a":{"b":null}}"#,
            ],
        ),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i, j)| {
            [a, b, c, d, e, f, g, h, i, j]
                .into_iter()
                .flatten()
                .collect()
        })
}

proptest! {
    #[test]
    fn what_is_read_is_written_and_read_again(fields in specs()) {
        let pool = read(&with_spec(&fields));
        let again = written(&pool);
        prop_assert_eq!(written(&read(&again)), again.clone());
        prop_assert_eq!(&read(&again), &pool);
        if let Some((_, later)) = fields.split_once(r#","later":"#) {
            prop_assert!(again.contains(&format!(r#""later":{later}"#)), "{}", again);
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in r#"[{}\[\]",:a-c0-9 ]{0,40}"#, cut in 0..200usize) {
        let _ = Pool::from_json(text.as_bytes());
        let _ = Pool::from_json(with_spec(&text).as_bytes());
        let whole = with_spec(r#","nodeSelector":"a == 'b'","status":{}"#);
        let _ = Pool::from_json(&whole.as_bytes()[..cut.min(whole.len())]);
    }
}
