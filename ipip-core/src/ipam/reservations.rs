//! Creating, deleting and reading reservations.

use super::retry::Written;
use super::{Ipam, IpamError};
use crate::datastore::{Commit, key};
use crate::resource::{Reservation, rfc3339};

impl Ipam {
    /// Stores `reservation`, with a unique id and the present time. Addresses of it that are assigned
    /// stay so.
    ///
    /// # Errors
    /// [`IpamError::ReservationExists`].
    pub fn create_reservation(&self, reservation: &Reservation) -> Result<(), IpamError> {
        let created = rfc3339(self.ambient.now());
        let recorded = reservation.clone().recorded(self.ambient.uuid(), created);
        let name = reservation.name();
        let key = key::reservation(name);
        self.retry(&format_args!("reservation {name}"), || {
            if let Some(stored) = self.read(&key, Reservation::from_json)? {
                // By this call, and the reply was lost: nobody else has its unique id.
                let reservation = name.to_owned();
                return match stored.value == recorded {
                    true => Ok(Some(())),
                    false => Err(IpamError::ReservationExists { reservation }),
                };
            }
            let mut commit = self.making()?;
            commit.expect(&key, None).put(&key, recorded.to_json());
            Ok(self.commit(commit)?.revision().map(|_| ()))
        })
    }

    /// Deletes the reservation `name`: its addresses may be assigned to whoever asks for any.
    ///
    /// # Errors
    /// [`IpamError::ReservationMissing`].
    pub fn delete_reservation(&self, name: &str) -> Result<(), IpamError> {
        let key = key::reservation(name);
        let mut unsure = false;
        self.retry(&format_args!("reservation {name}"), || {
            let Some(record) = self.store.get(&key)? else {
                let reservation = name.to_owned();
                let missing = Err(IpamError::ReservationMissing { reservation });
                return if unsure { Ok(Some(())) } else { missing };
            };
            let mut commit = Commit::new();
            commit.expect(&key, Some(record.revision)).delete(&key);
            let written = self.commit(commit)?;
            unsure |= written == Written::Perhaps;
            Ok(written.revision().map(|_| ()))
        })
    }

    /// The reservations, by name.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged one.
    pub fn reservations(&self) -> Result<Vec<Reservation>, IpamError> {
        self.read_all(key::reservation_prefix(), Reservation::from_json)
    }
}
