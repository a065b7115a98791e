//! What the kernel gives by itself: a device tunl0 in every namespace. Everything else here builds on it.

use ipip_core::sys::netns::Netns;
use libtest_mimic::{Failed, Trial};

use crate::{ip, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a_new_namespace_has_tunl0_from_any_to_any",
            a_new_namespace_has_tunl0_from_any_to_any,
        ),
        trial(
            "a_second_tunnel_from_any_to_any_is_refused",
            a_second_tunnel_from_any_to_any_is_refused,
        ),
    ]
}

fn a_new_namespace_has_tunl0_from_any_to_any() -> Result<(), Failed> {
    let netns = Netns::create_unnamed()?;
    let links = ip::json(&netns, "-d link show dev tunl0")?;
    assert_eq!(links.len(), 1, "{links:?}");
    let tunl0 = &links[0];
    assert_eq!(tunl0["linkinfo"]["info_kind"], "ipip");
    assert_eq!(tunl0["linkinfo"]["info_data"]["remote"], "any");
    assert_eq!(tunl0["linkinfo"]["info_data"]["local"], "any");
    assert_eq!(tunl0["linkinfo"]["info_data"]["proto"], "any");
    assert_eq!(tunl0["flags"], serde_json::json!(["NOARP"]));
    // 1500 minus the 20 octets of the outer header.
    assert_eq!(tunl0["mtu"], 1480);
    Ok(())
}

fn a_second_tunnel_from_any_to_any_is_refused() -> Result<(), Failed> {
    let netns = Netns::create_unnamed()?;
    let refused = ip::json(&netns, "link add second type ipip remote any local any");
    let reason = refused.expect_err("the kernel made it");
    let said = reason.message().unwrap_or_default();
    assert!(said.contains("File exists"), "{said}");
    Ok(())
}
