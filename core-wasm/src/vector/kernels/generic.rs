//! The loops, over lanes that a platform supplies.
//!
//! Slices are walked with `as_chunks`, which gives arrays of constant length: no bounds check and
//! no `unsafe` here. Slices are of one length; where they are not, the longer one's tail is ignored.

/// Four float32 lanes.
pub(super) trait Floats: Copy {
    fn zero() -> Self;
    fn load(from: &[f32; 4]) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `(lane 0 + lane 2) + (lane 1 + lane 3)`.
    fn sum(self) -> f32;
}

/// Four int32 lanes, filled with the sums of neighbouring products of eight int16 pairs.
pub(super) trait Integers: Copy {
    fn zero() -> Self;
    fn add(self, other: Self) -> Self;
    fn multiply(query: &[i16; 8], codes: &[i8; 8]) -> Self;
    fn sum(self) -> i32;
}

#[inline(always)]
pub(super) fn dot<F: Floats>(a: &[f32], b: &[f32]) -> f32 {
    reduce::<F>(a, b, |total, x, y| total.add(x.mul(y)), |x, y| x * y)
}

#[inline(always)]
pub(super) fn squared_l2<F: Floats>(a: &[f32], b: &[f32]) -> f32 {
    let square = |total: F, x: F, y: F| {
        let gap = x.sub(y);
        total.add(gap.mul(gap))
    };
    reduce::<F>(a, b, square, |x, y| (x - y) * (x - y))
}

/// Sums `step` over both slices: sixteen partial sums, then the lanes, then what is left over.
///
/// Thirty-two values a turn: as in [`dot_codes_pair`], sums are in memory between two turns. Sixteen
/// take half as long again, sixty-four a fifth longer.
#[inline(always)]
fn reduce<F: Floats>(
    a: &[f32],
    b: &[f32],
    step: impl Fn(F, F, F) -> F,
    tail: impl Fn(f32, f32) -> f32,
) -> f32 {
    let (a_turns, a_last) = a.as_chunks::<32>();
    let (b_turns, b_last) = b.as_chunks::<32>();
    let mut totals = (F::zero(), F::zero(), F::zero(), F::zero());
    for (x, y) in a_turns.iter().zip(b_turns) {
        if let ([x0, x1], [y0, y1]) = (x.as_chunks().0, y.as_chunks().0) {
            totals = step_sixteen(step_sixteen(totals, x0, y0, &step), x1, y1, &step);
        }
    }
    let (a_wide, a_rest) = a_last.as_chunks::<16>();
    let (b_wide, b_rest) = b_last.as_chunks::<16>();
    for (x, y) in a_wide.iter().zip(b_wide) {
        totals = step_sixteen(totals, x, y, &step);
    }
    let mut sum = totals.0.add(totals.2).add(totals.1.add(totals.3)).sum();
    for (&x, &y) in a_rest.iter().zip(b_rest) {
        sum += tail(x, y);
    }
    sum
}

/// Spelt out: arrays of totals walked by iterators stayed in memory instead of registers.
#[inline(always)]
fn step_sixteen<F: Floats>(
    totals: (F, F, F, F),
    a: &[f32; 16],
    b: &[f32; 16],
    step: &impl Fn(F, F, F) -> F,
) -> (F, F, F, F) {
    match (a.as_chunks().0, b.as_chunks().0) {
        ([a0, a1, a2, a3], [b0, b1, b2, b3]) => (
            step(totals.0, F::load(a0), F::load(b0)),
            step(totals.1, F::load(a1), F::load(b1)),
            step(totals.2, F::load(a2), F::load(b2)),
            step(totals.3, F::load(a3), F::load(b3)),
        ),
        _ => totals,
    }
}

/// The dot products of int16 query codes and the int8 codes of two rows.
///
/// Exact while `dim * 127 * max(|query|) < 2^31`, which the maker of the query codes sees to. Two
/// rows share the loads of the query, which saves a fifth of the time; four measured no better on
/// sets that outgrow the caches.
///
/// Thirty-two codes a turn: wasmtime looks at its deadline at the end of each, and keeps the sums in
/// memory for that, so a turn takes as long as a sum's way there and back.
#[inline(always)]
pub(super) fn dot_codes_pair<I: Integers>(query: &[i16], codes: [&[i8]; 2]) -> [i32; 2] {
    let (q_turns, q_last) = query.as_chunks::<32>();
    let [(a_turns, a_last), (b_turns, b_last)] = codes.map(|row| row.as_chunks::<32>());
    let mut sums = (I::zero(), I::zero(), I::zero(), I::zero());
    for ((q, a), b) in q_turns.iter().zip(a_turns).zip(b_turns) {
        if let ([q0, q1], [a0, a1], [b0, b1]) = (q.as_chunks().0, a.as_chunks().0, b.as_chunks().0)
        {
            sums = add_sixteen(add_sixteen(sums, q0, a0, b0), q1, a1, b1);
        }
    }
    let (q_wide, q_rest) = q_last.as_chunks::<16>();
    let [(a_wide, a_rest), (b_wide, b_rest)] = [a_last, b_last].map(|row| row.as_chunks::<16>());
    for ((q, a), b) in q_wide.iter().zip(a_wide).zip(b_wide) {
        sums = add_sixteen(sums, q, a, b);
    }
    let [a, b] = [sums.0.add(sums.1).sum(), sums.2.add(sums.3).sum()];
    [a.wrapping_add(rest(q_rest, a_rest)), b.wrapping_add(rest(q_rest, b_rest))]
}

#[inline(always)]
fn add_sixteen<I: Integers>(
    (a0, a1, b0, b1): (I, I, I, I),
    query: &[i16; 16],
    a: &[i8; 16],
    b: &[i8; 16],
) -> (I, I, I, I) {
    let ([q0, q1], [x0, x1], [y0, y1]) =
        (halve(query, &[0; 8]), halve(a, &[0; 8]), halve(b, &[0; 8]));
    (
        a0.add(I::multiply(q0, x0)),
        a1.add(I::multiply(q1, x1)),
        b0.add(I::multiply(q0, y0)),
        b1.add(I::multiply(q1, y1)),
    )
}

/// The halves of sixteen values; `never` is what the compiler cannot know to be unreachable.
#[inline(always)]
fn halve<'a, T>(wide: &'a [T; 16], never: &'a [T; 8]) -> [&'a [T; 8]; 2] {
    match wide.as_chunks::<8>().0 {
        [a, b] => [a, b],
        _ => [never, never],
    }
}

/// What the wide steps leave over.
#[inline(always)]
fn rest(query: &[i16], codes: &[i8]) -> i32 {
    query.iter().zip(codes).fold(0, |sum, (&q, &c)| sum + i32::from(q) * i32::from(c))
}
