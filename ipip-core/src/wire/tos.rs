//! The two halves of the TOS octet: DSCP and ECN.

use core::fmt;

use super::error::WireError;

/// A differentiated services code point, the upper 6 bits of the TOS octet, 0 to 63
/// (<https://www.rfc-editor.org/rfc/rfc2474#section-3>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Dscp(u8);

impl Dscp {
    /// The largest code point: 6 bits.
    pub const MAX: u8 = 63;

    /// The code point `value`, 0 to 63.
    ///
    /// # Errors
    /// [`WireError::Dscp`] above 63.
    pub const fn try_new(value: u8) -> Result<Self, WireError> {
        if value > Self::MAX {
            return Err(WireError::Dscp { found: value });
        }
        Ok(Self(value))
    }

    /// The code point in a whole TOS octet.
    #[must_use]
    #[inline]
    pub const fn of_tos(tos: u8) -> Self {
        Self(tos >> 2)
    }

    /// The code point as a number, 0 to 63.
    #[must_use]
    #[inline]
    pub const fn value(self) -> u8 {
        self.0
    }

    /// The whole TOS octet that this code point and `ecn` make.
    #[must_use]
    #[inline]
    pub const fn with_ecn(self, ecn: Ecn) -> u8 {
        self.0 << 2 | ecn.value()
    }
}

/// An explicit congestion notification code point, the lower 2 bits of the TOS octet
/// (<https://www.rfc-editor.org/rfc/rfc3168#section-5>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ecn {
    /// 0: the sender does not take part.
    #[default]
    NotEct,
    /// 1: ECN-capable transport, ECT(1).
    Ect1,
    /// 2: ECN-capable transport, ECT(0).
    Ect0,
    /// 3: congestion experienced.
    Ce,
}

impl Ecn {
    /// The code point in a whole TOS octet.
    #[must_use]
    #[inline]
    pub const fn of_tos(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The code point as a number, 0 to 3.
    #[must_use]
    #[inline]
    pub const fn value(self) -> u8 {
        match self {
            Self::NotEct => 0,
            Self::Ect1 => 1,
            Self::Ect0 => 2,
            Self::Ce => 3,
        }
    }
}

impl fmt::Display for Ecn {
    /// The name that RFC 3168 gives it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEct => "Not-ECT",
            Self::Ect1 => "ECT(1)",
            Self::Ect0 => "ECT(0)",
            Self::Ce => "CE",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_splits_and_joins() {
        for tos in 0..=u8::MAX {
            let (dscp, ecn) = (Dscp::of_tos(tos), Ecn::of_tos(tos));
            assert_eq!((dscp.value(), ecn.value()), (tos / 4, tos % 4));
            assert_eq!(dscp.with_ecn(ecn), tos);
            assert_eq!(Dscp::try_new(dscp.value()), Ok(dscp));
        }
        // Expedited forwarding, RFC 3246, beside congestion experienced.
        assert_eq!(
            (Dscp::of_tos(0xbb).value(), Ecn::of_tos(0xbb)),
            (46, Ecn::Ce)
        );
        assert_eq!(Ecn::of_tos(2), Ecn::Ect0);
    }

    #[test]
    fn seven_bits_are_refused() {
        let error = Dscp::try_new(64).unwrap_err();
        assert_eq!(error.to_string(), "DSCP 64 is outside 0 to 63");
    }
}
