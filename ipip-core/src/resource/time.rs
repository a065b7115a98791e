//! Instants as Calico writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_SECONDS: u64 = 86_400;

/// `at` as RFC 3339 in UTC with whole seconds, `2026-08-22T13:33:20Z`, as Kubernetes writes
/// instants; an instant before 1970 is written as 1970.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = civil(seconds / DAY_SECONDS);
    let second = seconds % DAY_SECONDS;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// `at` as Go's `time.Time.String` writes it in UTC, `2026-08-22 13:33:20.123456789 +0000 UTC`, as
/// Calico's CNI plugin stamps an assignment; a fraction without its final zeros.
pub(crate) fn go_time(at: SystemTime) -> String {
    let whole = rfc3339(at).replace('T', " ");
    let nanos = at
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.subsec_nanos());
    let fraction = format!(".{nanos:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{}{fraction} +0000 UTC", whole.trim_end_matches('Z'))
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
fn civil(mut days: u64) -> (u64, u64, u64) {
    // 400 years are 146,097 days, so that a far future does not count year by year.
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    while days >= month_len(year, month) {
        days -= month_len(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

/// The instant that `text` names, RFC 3339 in UTC or with an offset, at or after 1970; `None` for
/// anything else.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once(['T', 't'])?;
    let at = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(at);
    let [year, month, day] = numbers::<3>(date, '-')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] = numbers::<3>(clock, ':')?;
    // 60: a leap second, which SystemTime does not know.
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=month_len(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range || !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9.9}").parse().ok()?;
    let local = days_before(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    let seconds = if matches!(zone, "Z" | "z") {
        local
    } else {
        let [hours, minutes] = numbers::<2>(&zone[1..], ':')?;
        let offset = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
        let east = zone.starts_with('+');
        if east {
            local.checked_sub(offset)?
        } else {
            local + offset
        }
    };
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_nanos(nanos))
}

/// The `N` numbers between `separator`s.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[u64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for number in &mut numbers {
        let digits = parts
            .next()
            .filter(|part| part.bytes().all(|c| c.is_ascii_digit()))?;
        *number = digits.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// The days of `month`, 1 to 12.
fn month_len(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days from 1970-01-01 to this day.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum();
    let months: u64 = (1..month).map(|month| month_len(year, month)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_leaves_out_final_zeros() {
        let at = |nanos| UNIX_EPOCH + Duration::new(1_787_405_600, nanos);
        // The examples of Calico's blocks; a whole second from Go's documentation of its format.
        for (nanos, text) in [
            (123_456_789, "2026-08-22 13:33:20.123456789 +0000 UTC"),
            (120_000_000, "2026-08-22 13:33:20.12 +0000 UTC"),
            (0, "2026-08-22 13:33:20 +0000 UTC"),
        ] {
            assert_eq!(go_time(at(nanos)), text);
        }
    }

    #[test]
    fn instants_agree_with_date() {
        // date -u -d @N +%Y-%m-%dT%H:%M:%SZ
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_704_067_199, "2023-12-31T23:59:59Z"),
            (1_787_405_600, "2026-08-22T13:33:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (13_574_563_200, "2400-02-29T00:00:00Z"),
        ] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(at), text);
            assert_eq!(parse_rfc3339(text), Some(at));
        }
        assert_eq!(
            rfc3339(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00Z"
        );
    }

    #[test]
    fn fractions_and_offsets_are_read_and_nonsense_is_not() {
        // date -u -d TEXT +%s.%N
        let at = UNIX_EPOCH + Duration::new(1_787_405_600, 120_000_000);
        for text in [
            "2026-08-22T13:33:20.12Z",
            "2026-08-22T15:33:20.12+02:00",
            "2026-08-22t08:03:20.1200000009-05:30",
        ] {
            assert_eq!(parse_rfc3339(text), Some(at), "{text}");
        }
        for text in [
            "",
            "T",
            "2026-08-22",
            "2026-08-22T13:33:20",
            "2026-02-29T13:33:20Z",
            "2026-13-01T13:33:20Z",
            "2026-00-01T13:33:20Z",
            "2026-08-22T24:33:20Z",
            "2026-08-22T13:33:20.+1Z",
            "2026-08-22T13:33:20ZZ",
            "2026-08-22T13:33:20+2",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "99999999999999999999-01-01T00:00:00Z",
            "2026-08-22T13:33:20é",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
