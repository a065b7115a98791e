//! A plan before there is a data path tells what a sync does then, by whatever path this kernel has.

use ipip_core::datapath::Choice;
use ipip_core::node::DataPathState;
use ipip_core::resource::IpipMode;

use crate::crash::{rebooted, stage};
use crate::support::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[(
    "a_plan_knows_the_data_path_that_is_started",
    Needs::NoDriver,
    knows,
)];

fn knows() {
    let (cluster, name) = stage(IpipMode::Always);
    for choice in [Choice::Auto, Choice::Userspace, Choice::Kernel] {
        let host = rebooted(&cluster, &name);
        let before = host.state();
        let config = host.config().with_guard(false).with_data_path(choice);
        let node = host.open_as(config);
        let plan = node.plan().unwrap();
        assert_eq!(host.state(), before, "{choice:?}: nothing is changed");
        let text = plan.to_string();
        assert!(!text.contains("type ipip"), "{choice:?}: {text}");
        let said = plan.data_path.clone().unwrap();
        assert!(
            text.starts_with(&format!("# data path: {said}\n")),
            "{text}"
        );
        let is_there = !matches!(said, DataPathState::Unavailable { .. });
        assert_eq!(is_there, choice != Choice::Kernel, "{said}");
        assert_eq!(text.contains(" dev tunl0 "), is_there, "{text}");
        let synced = node.sync().unwrap();
        assert_eq!(
            plan.steps, synced.done,
            "{choice:?}: {plan}is not\n{synced}"
        );
        assert_eq!(said, synced.data_path);
        let after = node.plan().unwrap();
        assert_eq!(after.steps, [], "{choice:?}: {after}");
    }
}
