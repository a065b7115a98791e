//! What a store refuses.

/// Why a store did not do what it was asked; nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A key is empty.
    #[error("a key must not be empty")]
    EmptyKey,
    /// A prefix to be listed does not end with `/`, so that it would take `node10` for `node1`.
    #[error("prefix {prefix:?} does not end with '/'")]
    Prefix {
        /// The prefix.
        prefix: String,
    },
    /// A commit writes a key twice, which etcd refuses too.
    #[error("key {key} is written twice in one commit")]
    WrittenTwice {
        /// The key.
        key: String,
    },
}
