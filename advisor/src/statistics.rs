//! The few statistics the evidence rests on: sign test, Holm, Newcombe, order statistics, MAD.
//!
//! Pure arithmetic on slices. It knows nothing of vantages or endpoints, and draws no conclusions.

/// The standard normal quantile at 0.95, for one-sided 95 % bounds.
pub const Z_95: f64 = 1.644_853_626_951_472_2;

/// The factor that makes the median absolute deviation of normal data estimate its deviation.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// `P(Bin(trials, 1/2) >= successes)`: the p-value of a one-sided sign test.
#[must_use]
pub fn sign_test_p(successes: u32, trials: u32) -> f64 {
    if successes == 0 {
        return 1.0;
    }
    // Logarithms of the terms, built by ratio from the top: neither a factorial overflows nor a
    // power of one half underflows, for any `trials`.
    let mut log_term = -f64::from(trials) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in (successes..=trials).rev() {
        tail += log_term.exp();
        log_term += f64::from(k).ln() - f64::from(trials - k + 1).ln();
    }
    tail.min(1.0)
}

/// Which of the hypotheses Holm's step-down procedure rejects at family-wise level `alpha`.
///
/// The answer has the order of `p_values`. Ties keep their order and get the same treatment.
#[must_use]
pub fn holm_rejects(p_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut rejected = vec![false; p_values.len()];
    for (rank, index) in order.into_iter().enumerate() {
        if p_values[index] > alpha / (p_values.len() - rank) as f64 {
            break;
        }
        rejected[index] = true;
    }
    rejected
}

/// The median, or `None` of nothing. Of an even count it is the mean of the two in the middle.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// A robust deviation: 1.4826 x the median absolute deviation from the median.
#[must_use]
pub fn robust_deviation(values: &[f64]) -> Option<f64> {
    let centre = median(values)?;
    let distances: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    median(&distances).map(|mad| MAD_TO_DEVIATION * mad)
}

/// A two-sided interval for the median from order statistics, at level `1 - alpha` or more.
///
/// It is `(x_(k), x_(n + 1 - k))` with the largest `k` for which `2 P(Bin(n, 1/2) < k) <= alpha`
/// (Conover, Practical Nonparametric Statistics, section 3.2). `None` where no `k` does: fewer
/// than six values at 5 %.
#[must_use]
pub fn median_interval(values: &[f64], alpha: f64) -> Option<(f64, f64)> {
    let sorted = sorted(values);
    let n = u32::try_from(sorted.len()).ok()?;
    // P(Bin(n, 1/2) < k) = P(Bin(n, 1/2) > n - k) by symmetry.
    let k = (1..=n / 2).take_while(|k| 2.0 * sign_test_p(n - k + 1, n) <= alpha).last()? as usize;
    Some((sorted[k - 1], sorted[sorted.len() - k]))
}

/// Wilson's score interval for a proportion, with the normal quantile `z`.
#[must_use]
pub fn wilson(successes: u64, trials: u64, z: f64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let share = successes as f64 / n;
    let centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// The upper one-sided bound of `p_a - p_b`, Newcombe's hybrid score method (1998, method 10).
///
/// Each argument is `(failures, attempts)`; the answer is a difference of shares, -1 to 1.
#[must_use]
pub fn newcombe_upper(a: (u64, u64), b: (u64, u64), z: f64) -> f64 {
    if a.1 == 0 || b.1 == 0 {
        return 1.0;
    }
    let share_a = a.0 as f64 / a.1 as f64;
    let share_b = b.0 as f64 / b.1 as f64;
    let (_, upper_a) = wilson(a.0, a.1, z);
    let (lower_b, _) = wilson(b.0, b.1, z);
    share_a - share_b + ((upper_a - share_a).powi(2) + (share_b - lower_b).powi(2)).sqrt()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
    }

    #[test]
    fn sign_test_has_the_binomial_tail() {
        near(sign_test_p(18, 18), 0.5_f64.powi(18));
        near(sign_test_p(15, 18), (1.0 + 18.0 + 153.0 + 816.0) / 262_144.0);
        near(sign_test_p(0, 18), 1.0);
        near(sign_test_p(1, 1), 0.5);
        // By symmetry half of the odd number's tail lies above its middle.
        near(sign_test_p(1_001, 2_001), 0.5);
        near(sign_test_p(1_800, 2_001), 0.0);
    }

    #[test]
    fn holm_steps_down_and_stops_at_the_first_that_fails() {
        assert_eq!(holm_rejects(&[0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
        assert_eq!(holm_rejects(&[], 0.05), Vec::<bool>::new());
        assert_eq!(holm_rejects(&[0.05], 0.05), [true]);
    }

    #[test]
    fn newcombe_agrees_with_the_published_example() {
        // Newcombe 1998, table II, (a) 56/70 - 48/80: two-sided 95 % is 0.0524 to 0.3339.
        let upper = newcombe_upper((56, 70), (48, 80), 1.959_963_985);
        assert!((upper - 0.3339).abs() < 5e-5, "{upper}");
    }

    #[test]
    fn median_interval_of_eighteen_is_the_fifth_from_each_end() {
        let values: Vec<f64> = (1..=18).map(f64::from).collect();
        assert_eq!(median_interval(&values, 0.05), Some((5.0, 14.0)));
        assert_eq!(median_interval(&values[..5], 0.05), None);
    }

    #[test]
    fn deviation_ignores_one_wild_value() {
        near(robust_deviation(&[1.0, 2.0, 3.0, 4.0, 1e9]).unwrap(), 1.4826);
    }

    proptest! {
        #[test]
        fn sign_test_is_a_probability_and_falls(trials in 1_u32..400, k in 0_u32..400) {
            let k = k.min(trials - 1);
            let (here, next) = (sign_test_p(k, trials), sign_test_p(k + 1, trials));
            prop_assert!((0.0..=1.0).contains(&here) && next <= here + 1e-12);
        }

        #[test]
        fn the_median_lies_in_its_interval(values in prop::collection::vec(-1e6_f64..1e6, 6..60)) {
            let (low, high) = median_interval(&values, 0.05).unwrap();
            let middle = median(&values).unwrap();
            prop_assert!(low <= middle && middle <= high);
        }
    }
}
