//! Names that are checked once: nodes, handles and network interfaces.

use std::fmt;

/// Why a text is not a name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} {rule}")]
pub struct NameError {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

/// A host taking part, as Calico names it: one element of a datastore path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

/// The opaque owner of assignments, one element of a datastore path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleId(String);

/// The name of a network interface: 1 to 15 octets (the kernel's `IFNAMSIZ` less its final zero).
///
/// It lies in place, so that a table of a hundred thousand routes costs no allocation for each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName {
    /// Followed by zeros, which no name holds: the order of the octets is that of the texts.
    octets: [u8; INTERFACE_NAME_MAX],
    len: u8,
}

/// Longest interface name in octets.
pub const INTERFACE_NAME_MAX: usize = 15;

/// Where `ip netns` keeps the names of network namespaces.
pub const NETNS_DIR: &str = "/run/netns";

/// Longest node name or handle in octets; a Linux host name and a DNS name both fit in it.
pub const PATH_ELEMENT_MAX: usize = 253;

impl NodeName {
    /// Checks `text`: 1 to 253 octets, no `/`, no white space, no control characters.
    ///
    /// # Errors
    /// [`NameError`] naming the rule that it breaks.
    pub fn try_new(text: &str) -> Result<Self, NameError> {
        path_element("node name", text).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HandleId {
    /// Checks `text`: 1 to 253 octets, no `/`, no white space, no control characters.
    ///
    /// # Errors
    /// [`NameError`] naming the rule that it breaks.
    pub fn try_new(text: &str) -> Result<Self, NameError> {
        path_element("handle", text).map(Self)
    }

    /// The handle as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InterfaceName {
    /// Checks `text` as the kernel does (`dev_valid_name`): 1 to 15 octets, not `.` or `..`, no
    /// `/`, no `:`, no white space.
    ///
    /// # Errors
    /// [`NameError`] naming the rule that it breaks.
    pub fn try_new(text: &str) -> Result<Self, NameError> {
        let rule = if text.is_empty() || text.len() > INTERFACE_NAME_MAX {
            "must be 1 to 15 octets long"
        } else if text == "." || text == ".." {
            "is a directory name"
        } else if text
            .contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
        {
            "must not contain '/', ':', white space or control characters"
        } else {
            return Ok(Self::of(text));
        };
        Err(NameError {
            kind: "interface name",
            text: text.to_owned(),
            rule,
        })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.octets.get(..usize::from(self.len)).unwrap_or_default();
        // It was taken from a text.
        std::str::from_utf8(text).unwrap_or_default()
    }

    fn of(text: &str) -> Self {
        let mut octets = [0; INTERFACE_NAME_MAX];
        let mut len = 0;
        for (octet, found) in octets.iter_mut().zip(text.bytes()) {
            *octet = found;
            len += 1;
        }
        Self { octets, len }
    }
}

fn path_element(kind: &'static str, text: &str) -> Result<String, NameError> {
    let rule = if text.is_empty() || text.len() > PATH_ELEMENT_MAX {
        "must be 1 to 253 octets long"
    } else if !is_plain(text)
        && text.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
    {
        "must not contain '/', white space or control characters"
    } else {
        return Ok(text.to_owned());
    };
    Err(NameError {
        kind,
        text: text.to_owned(),
        rule,
    })
}

/// Whether `text` has nothing but ASCII that may be seen, and no `/`: so is nearly every name, and the
/// allocator checks several for each address.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|octet| octet.is_ascii_graphic() && octet != b'/')
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HandleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InterfaceName")
            .field(&self.as_str())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_follow_the_kernel() {
        for good in ["tunl0", "cali7f94ce7c295", "eth0.100", "a"] {
            assert_eq!(InterfaceName::try_new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a:b",
            "sixteen-octets-1",
            "tab\t",
        ] {
            assert!(InterfaceName::try_new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_element_has_no_slash() {
        let text = HandleId::try_new("a/b").unwrap_err().to_string();
        assert_eq!(
            text,
            "handle \"a/b\" must not contain '/', white space or control characters"
        );
        assert!(NodeName::try_new("node-a.example").is_ok());
        assert!(NodeName::try_new("node\r\n").is_err() && NodeName::try_new("").is_err());
    }
}
