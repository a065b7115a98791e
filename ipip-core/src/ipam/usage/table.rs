//! Tables as `calicoctl` prints them.

use std::fmt;

/// Rows of text in columns.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// So many columns begin at the left; the others, numbers, end at the right.
    texts: usize,
}

impl Table {
    pub(super) fn new(names: &[&str], texts: usize) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            rows: vec![names],
            texts,
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let line: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        let line = format!("+{}+", line.join("+"));
        writeln!(f, "{line}")?;
        for (number, row) in self.rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column < self.texts {
                    write!(f, "| {cell:<width$} ")?;
                } else {
                    write!(f, "| {cell:>width$} ")?;
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                writeln!(f, "{line}")?;
            }
        }
        if self.rows.len() > 1 {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// `part`, and what part of `total` it is, as Go's `%.5g (%.f%%)` prints it.
pub(super) fn share(part: u64, total: u64) -> String {
    let percent = quotient(u128::from(part) * 100, u128::from(total.max(1)));
    format!("{} ({percent}%)", rounded(part))
}

/// `number` in five digits, as Go's `%.5g` prints it.
pub(super) fn rounded(number: u64) -> String {
    let digits = number.to_string().len();
    let Some(dropped) = digits.checked_sub(5).filter(|dropped| *dropped > 0) else {
        return number.to_string();
    };
    let unit = 10u128.pow(u32::try_from(dropped).unwrap_or(0));
    let mut kept = quotient(u128::from(number), unit);
    let mut exponent = digits - 1;
    if kept == 100_000 {
        kept = 10_000;
        exponent += 1;
    }
    let text = kept.to_string();
    let (first, rest) = text.split_at(1);
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{first}{point}{rest}e+{exponent:02}")
}

/// The nearest whole number to `a` / `b`, of two the even one.
fn quotient(a: u128, b: u128) -> u128 {
    let (whole, rest) = (a / b, a % b);
    match (rest * 2).cmp(&b) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole % 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_gos() {
        // Python: '%.5g' % n
        for (number, text) in [
            (0, "0"),
            (99_999, "99999"),
            (100_000, "1e+05"),
            (100_005, "1e+05"),
            (123_456, "1.2346e+05"),
            (999_994, "9.9999e+05"),
            (999_996, "1e+06"),
            (1_048_576, "1.0486e+06"),
            (16_777_216, "1.6777e+07"),
            (4_294_967_296, "4.295e+09"),
        ] {
            assert_eq!(rounded(number), text, "{number}");
        }
        // Python: '%.f' % (100 * a / b)
        for (part, total, text) in [
            (5, 64, "5 (8%)"),
            (59, 64, "59 (92%)"),
            (5, 65_536, "5 (0%)"),
            (65_531, 65_536, "65531 (100%)"),
            (1, 200, "1 (0%)"),
            (3, 200, "3 (2%)"),
            (5, 200, "5 (2%)"),
            (0, 1, "0 (0%)"),
        ] {
            assert_eq!(share(part, total), text);
        }
    }
}
