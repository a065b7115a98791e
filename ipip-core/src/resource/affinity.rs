//! Who owns a block: the owner named in it, and the state of the claim.

use std::fmt;

use super::ResourceError;
use super::json::{Extra, Object, ObjectWriter};
use crate::name::NodeName;

/// The owner of a block, as the block names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Affinity {
    /// A node, `host:<name>`.
    Host(NodeName),
    /// A virtual owner such as a load balancer, `virtual:<name>` (Calico 3.30 and later).
    Virtual(String),
    /// Somebody whom we cannot name: kept as it was found, and never taken for a node.
    Other(String),
}

impl Affinity {
    /// The owner that `text` names. Every text names one; a kind that we do not know, or a node
    /// name that is none, becomes [`Affinity::Other`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let other = || Self::Other(text.to_owned());
        match text.split_once(':') {
            Some(("host", name)) => NodeName::try_new(name).map_or_else(|_| other(), Self::Host),
            Some(("virtual", name)) => Self::Virtual(name.to_owned()),
            _ => other(),
        }
    }

    /// The node, if the owner is one.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Host(node) => Some(node),
            _ => None,
        }
    }
}

impl fmt::Display for Affinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(node) => write!(f, "host:{node}"),
            Self::Virtual(name) => write!(f, "virtual:{name}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// How far a node's claim on a block has come.
///
/// We claim and release in one commit and write `Confirmed` alone; Calico's staged protocol leaves
/// the others behind when a process dies in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AffinityState {
    /// Announced, and not yet backed by a block: nobody may use or route the block by it.
    Pending,
    /// The block is the node's. Calico 2 wrote no state, so none is read as this one.
    #[default]
    Confirmed,
    /// About to be given up.
    PendingDeletion,
}

impl AffinityState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::PendingDeletion => "pendingDeletion",
        }
    }
}

impl fmt::Display for AffinityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A node's claim on a block; which node and block is said by the key alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockAffinity {
    /// How far the claim has come.
    pub state: AffinityState,
    deleted: bool,
    extra: Extra,
}

impl BlockAffinity {
    /// A claim in `state`.
    #[must_use]
    pub fn new(state: AffinityState) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }

    /// Reads the stored value; an empty one is a confirmed claim (Calico 2).
    ///
    /// # Errors
    /// [`ResourceError`] naming the field, also for a state that is none of the three.
    pub fn from_json(text: &[u8]) -> Result<Self, ResourceError> {
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let mut object = Object::parse(text)?;
        let state = match object.take::<String>("state")?.as_deref() {
            None | Some("" | "confirmed") => AffinityState::Confirmed,
            Some("pending") => AffinityState::Pending,
            Some("pendingDeletion") => AffinityState::PendingDeletion,
            Some(other) => {
                return Err(ResourceError::Field {
                    field: "state",
                    detail: format!("{other:?} is not pending, confirmed or pendingDeletion"),
                });
            }
        };
        Ok(Self {
            state,
            deleted: object.take("deleted")?.unwrap_or_default(),
            extra: object.into_extra(),
        })
    }

    /// The value to be stored.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        let mut object = ObjectWriter::new(&mut out);
        object.field("state", self.state.as_str());
        object.field("deleted", &self.deleted);
        object.end(&self.extra);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_and_written_as_calico_does() {
        for (text, state) in [
            ("", AffinityState::Confirmed),
            (" \n", AffinityState::Confirmed),
            ("{}", AffinityState::Confirmed),
            (r#"{"state":""}"#, AffinityState::Confirmed),
            (r#"{"state":null}"#, AffinityState::Confirmed),
            (
                r#"{"state":"confirmed","deleted":false}"#,
                AffinityState::Confirmed,
            ),
            (
                r#"{"state":"pending","deleted":false}"#,
                AffinityState::Pending,
            ),
            (
                r#"{"state":"pendingDeletion","deleted":false}"#,
                AffinityState::PendingDeletion,
            ),
        ] {
            assert_eq!(
                BlockAffinity::from_json(text.as_bytes()).unwrap().state,
                state,
                "{text}"
            );
        }
        let written = BlockAffinity::new(AffinityState::Confirmed).to_json();
        assert_eq!(written, br#"{"state":"confirmed","deleted":false}"#);
        for text in [
            r#"{"state":"pending","deleted":false}"#,
            r#"{"state":"pendingDeletion","deleted":true,"new":[1, 2]}"#,
        ] {
            let affinity = BlockAffinity::from_json(text.as_bytes()).unwrap();
            assert_eq!(affinity.to_json(), text.as_bytes());
        }
    }

    #[test]
    fn an_unknown_state_is_refused() {
        let error = BlockAffinity::from_json(br#"{"state":"lost"}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "field state: \"lost\" is not pending, confirmed or pendingDeletion"
        );
    }

    #[test]
    fn owners_keep_their_text() {
        for text in [
            "host:node-a.example",
            "virtual:load-balancer",
            "virtual:",
            "host:",
            "host:a/b",
            "else",
            "",
        ] {
            assert_eq!(Affinity::parse(text).to_string(), text);
        }
        assert_eq!(
            Affinity::parse("host:a").node().map(NodeName::as_str),
            Some("a")
        );
        for text in ["host:", "host:a/b", "virtual:a", "HOST:a", "a"] {
            assert_eq!(Affinity::parse(text).node(), None, "{text}");
        }
    }
}
