//! The dense part of a transformer. Rows are dense f32 unless a stride is given.

/// Rows of a matrix that lie `stride` elements apart, from element `first` on.
#[derive(Clone, Copy)]
pub struct Rows {
    pub first: usize,
    pub stride: usize,
}

impl Rows {
    pub fn dense(width: usize) -> Rows {
        Rows { first: 0, stride: width }
    }

    fn fits(self, rows: usize, width: usize, len: usize) -> bool {
        rows > 0 && self.first + (rows - 1) * self.stride + width <= len
    }
}

/// y[rows, out] = x[rows, in] W^T, W [out, in].
pub fn linear(rows: usize, x: (&[f32], Rows), w: &[f32], y: (&mut [f32], Rows), out: usize) {
    let inner = w.len() / out;
    product(rows, inner, out, x, w, (1, inner), y);
}

/// y[rows, out] = x[rows, in] W, W [in, out].
pub fn linear_transposed(
    rows: usize,
    x: (&[f32], Rows),
    w: &[f32],
    y: (&mut [f32], Rows),
    out: usize,
) {
    let inner = w.len() / out;
    product(rows, inner, out, x, w, (out, 1), y);
}

fn product(
    rows: usize,
    inner: usize,
    out: usize,
    (x, x_rows): (&[f32], Rows),
    w: &[f32],
    (w_row, w_column): (usize, usize),
    (y, y_rows): (&mut [f32], Rows),
) {
    assert!(x_rows.fits(rows, inner, x.len()) && y_rows.fits(rows, out, y.len()));
    assert!(w.len() == inner * out && y_rows.stride >= out);
    // SAFETY: every element that the strides reach lies in its slice.
    unsafe {
        matrixmultiply::sgemm(
            rows,
            inner,
            out,
            1.0,
            x.as_ptr().add(x_rows.first),
            x_rows.stride as isize,
            1,
            w.as_ptr(),
            w_row as isize,
            w_column as isize,
            0.0,
            y.as_mut_ptr().add(y_rows.first),
            y_rows.stride as isize,
            1,
        );
    }
}

/// x / sqrt(mean(x^2) + eps) * gain, in place.
pub fn rms_norm(x: &mut [f32], gain: &[f32], eps: f64) {
    let squares: f64 = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let inverse = (1.0 / (squares / x.len() as f64 + eps).sqrt()) as f32;
    for (value, gain) in x.iter_mut().zip(gain) {
        *value *= inverse * gain;
    }
}

/// (x - mean) / sqrt(variance + eps) * gain + bias, in place.
pub fn layer_norm(x: &mut [f32], gain: &[f32], bias: &[f32], eps: f64) {
    let n = x.len() as f64;
    let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let squares: f64 = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
    let inverse = 1.0 / (squares / n + eps).sqrt();
    for ((value, gain), bias) in x.iter_mut().zip(gain).zip(bias) {
        *value = ((f64::from(*value) - mean) * inverse) as f32 * gain + bias;
    }
}

/// gate = silu(gate) * up
pub fn silu_gate(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + (-*gate).exp()) * up;
    }
}

pub fn add(a: &mut [f32], b: &[f32]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += b;
    }
}

/// Rotary embedding in NeoX halves: (a, b) -> (a cos - b sin, b cos + a sin), a the first half of
/// the vector, angle position * theta^(-2i/n). Sines of all positions serve all layers and heads.
pub struct Rope {
    half: usize,
    cos: Vec<f32>, // [positions, n / 2]
    sin: Vec<f32>,
}

impl Rope {
    pub fn new(n: usize, theta: f64, positions: usize) -> Self {
        let half = n / 2;
        let angle = |i: usize| {
            let frequency = theta.powf(-2.0 * (i % half) as f64 / n as f64) as f32;
            (i / half) as f32 * frequency
        };
        let angles: Vec<f32> = (0..positions * half).map(angle).collect();
        let cos = angles.iter().map(|angle| angle.cos()).collect();
        Rope { half, cos, sin: angles.iter().map(|angle| angle.sin()).collect() }
    }

    /// Rotates the first n elements.
    pub fn rotate(&self, position: usize, x: &mut [f32]) {
        let (a, b) = x[..2 * self.half].split_at_mut(self.half);
        let at = position * self.half;
        for i in 0..self.half {
            let (cos, sin) = (self.cos[at + i], self.sin[at + i]);
            (a[i], b[i]) = (a[i] * cos - b[i] * sin, b[i] * cos + a[i] * sin);
        }
    }
}

/// Next-token loss -log softmax(logits)[target], in nats.
pub fn next_byte_loss(logits: &[f32], target: u8) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&v| f64::from((v - largest).exp())).sum();
    (sum.ln() + f64::from(largest) - f64::from(logits[usize::from(target)])) as f32
}
