//! A store that behaves as another but for some calls.

/// Those calls of a `Store` that are passed on as they came: `pass_on!([.store] get list)` to the field `store`,
/// `pass_on!([.next()?] get)` to what a method answers.
macro_rules! pass_on {
    ($to:tt $($call:ident)+) => {
        $($crate::pass_on::pass_on!(@$call $to);)+
    };
    (@get [$($to:tt)+]) => {
        fn get(
            &self,
            key: &str,
        ) -> Result<Option<ipip_core::datastore::Record>, ipip_core::datastore::StoreError> {
            self$($to)+.get(key)
        }
    };
    (@list [$($to:tt)+]) => {
        fn list(
            &self,
            prefix: &str,
        ) -> Result<
            ipip_core::datastore::Listing<ipip_core::datastore::Record>,
            ipip_core::datastore::StoreError,
        > {
            self$($to)+.list(prefix)
        }
    };
    (@list_keys [$($to:tt)+]) => {
        fn list_keys(
            &self,
            prefix: &str,
        ) -> Result<ipip_core::datastore::Listing<String>, ipip_core::datastore::StoreError> {
            self$($to)+.list_keys(prefix)
        }
    };
    (@commit [$($to:tt)+]) => {
        fn commit(
            &self,
            commit: ipip_core::datastore::Commit,
        ) -> Result<ipip_core::datastore::Outcome, ipip_core::datastore::StoreError> {
            self$($to)+.commit(commit)
        }
    };
    (@watch [$($to:tt)+]) => {
        fn watch(
            &self,
            prefix: &str,
            after: ipip_core::datastore::Revision,
            wait: std::time::Duration,
        ) -> Result<ipip_core::datastore::Changes, ipip_core::datastore::StoreError> {
            self$($to)+.watch(prefix, after, wait)
        }
    };
}

pub(crate) use pass_on;
