//! How figures, times and names are written: short, aligned, and with everything from outside escaped.

use ratatui::text::Span;

/// What stands where there is no figure.
pub(crate) const NONE: &str = "-";

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A name as it may stand on a terminal.
pub(crate) fn shown(name: &str) -> String {
    probe::once::escape(name)
}

/// How many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text, or as much of it as fits with a mark that it goes on.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut left = columns.saturating_sub(1);
    for c in text.chars() {
        let wide = width(c.encode_utf8(&mut [0; 4]));
        if wide > left {
            break;
        }
        left -= wide;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The text in exactly so many columns, at the left.
pub(crate) fn left(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let pad = columns.saturating_sub(width(&text));
    text + &" ".repeat(pad)
}

/// The same at the right.
pub(crate) fn right(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    " ".repeat(columns.saturating_sub(width(&text))) + &text
}

/// A long line in several, broken between words; what follows is set in by `indent`.
pub(crate) fn wrapped(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for word in text.split_inclusive(' ') {
        if !part.trim().is_empty() && width(&part) + width(word.trim_end()) > columns {
            parts.push(std::mem::replace(&mut part, " ".repeat(indent)));
        }
        part.push_str(word);
    }
    parts.push(part);
    parts.into_iter().map(|part| fit(part.trim_end(), columns)).collect()
}

/// Milliseconds of microseconds, in six columns or fewer.
pub(crate) fn ms_of_us(us: u64) -> String {
    ms(us as f64 / 1_000.0)
}

/// Milliseconds, in six columns or fewer; a dash where there are none.
pub(crate) fn ms(value: f64) -> String {
    if !value.is_finite() {
        NONE.to_owned()
    } else if value.abs() >= 9_999.95 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

/// The same for a figure that may be absent.
pub(crate) fn maybe_ms(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), ms)
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 { format!("{percent:.2}%") } else { format!("{percent:.1}%") }
}

/// A count with its thousands set apart.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How long ago, in one unit; what lies ahead is said to.
pub(crate) fn age(ms: i64) -> String {
    match ms {
        i64::MIN..-1_000 => format!("{} ahead", length(ms.saturating_neg())),
        -1_000..1_000 => "now".to_owned(),
        _ => format!("{} ago", length(ms)),
    }
}

/// A length of time in its largest unit, rounded down.
pub(crate) fn length(ms: i64) -> String {
    match ms {
        i64::MIN..1_000 => format!("{ms} ms"),
        1_000..MINUTE_MS => format!("{} s", ms / 1_000),
        MINUTE_MS..HOUR_MS => format!("{} min", ms / MINUTE_MS),
        HOUR_MS..DAY_MS => format!("{} h", ms / HOUR_MS),
        _ => format!("{} d", ms / DAY_MS),
    }
}

/// The time of day in UTC.
pub(crate) fn time_of_day(wall_ms: i64) -> String {
    let second = wall_ms.rem_euclid(DAY_MS) / 1_000;
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// Month and day in UTC, by the calendar of the Gregorian rule.
pub(crate) fn day(wall_ms: i64) -> String {
    let (month, day) = civil(wall_ms.div_euclid(DAY_MS));
    format!("{month:02}-{day:02}")
}

/// Month and day of a number of days since 1970: years are counted from March, so that the leap day
/// is the last of its year.
fn civil(days: i64) -> (i64, i64) {
    let from_march_0000 = days + 719_468;
    let in_era = from_march_0000.rem_euclid(146_097);
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    (if from_march < 10 { from_march + 3 } else { from_march - 9 }, day)
}

/// A Region's name in few columns, as `apse1` for `ap-southeast-1`; other names as they are.
pub(crate) fn short_name(name: &str) -> String {
    let parts: Vec<&str> = name.split('-').collect();
    let [place @ .., direction, number] = parts.as_slice() else { return name.to_owned() };
    let initials = match *direction {
        "north" => "n",
        "northeast" => "ne",
        "east" => "e",
        "southeast" => "se",
        "south" => "s",
        "southwest" => "sw",
        "west" => "w",
        "northwest" => "nw",
        "central" => "c",
        _ => return name.to_owned(),
    };
    if place.is_empty() || number.parse::<u8>().is_err() {
        return name.to_owned();
    }
    format!("{}{initials}{number}", place.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_and_say_that_they_go_on() {
        assert_eq!(fit("eu-west-1", 9), "eu-west-1");
        assert_eq!(fit("eu-west-1", 5), "eu-w…");
        assert_eq!(fit("東京大阪", 5), "東京…");
        assert_eq!((fit("ab", 1), fit("ab", 0)), ("…".to_owned(), String::new()));
        assert_eq!((left("a", 3), right("a", 3)), ("a  ".to_owned(), "  a".to_owned()));
        assert_eq!(wrapped(" one two three", 8, 3), [" one two", "   three"]);
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }

    #[test]
    fn regions_have_short_names_and_others_do_not() {
        for (name, want) in [
            ("ap-southeast-1", "apse1"),
            ("us-east-1", "use1"),
            ("us-gov-west-1", "usgovw1"),
            ("ca-central-1", "cac1"),
            ("my-own-thing", "my-own-thing"),
            ("east-1", "east-1"),
            ("home", "home"),
        ] {
            assert_eq!(short_name(name), want);
        }
    }

    #[test]
    fn figures_are_short() {
        let texts = [ms(0.04), ms(123.46), ms(9_999.9), ms(9_999.96), ms(60_000.0), ms(f64::NAN)];
        assert_eq!(texts, ["0.0", "123.5", "9999.9", "10000", "60000", "-"]);
        assert_eq!([percent(0.0), percent(0.0004), percent(0.5)], ["0.0%", "0.04%", "50.0%"]);
        assert_eq!([count(7), count(1_234), count(1_234_567)], ["7", "1,234", "1,234,567"]);
    }

    #[test]
    fn times_are_in_utc_and_ages_survive_a_clock_that_jumps() {
        assert_eq!(time_of_day(1_709_210_096_000), "12:34:56");
        for (wall_ms, want) in [
            (0, "01-01"),
            (-1, "12-31"),
            (1_709_210_096_000, "02-29"),
            (1_709_251_200_000, "03-01"),
        ] {
            assert_eq!(day(wall_ms), want);
        }
        let ages = [age(0), age(-400), age(61_000), age(-7_200_000), age(i64::MIN), age(i64::MAX)];
        assert_eq!(ages[..4], ["now", "now", "1 min ago", "2 h ahead"]);
        assert!(ages[4].ends_with(" d ahead") && ages[5].ends_with(" d ago"));
    }
}
