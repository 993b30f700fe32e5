//! The forward pass of a whole text at once: bytes in, losses out.

use libdsa::{Context, Flags, IndexerTopk, Result, SparseAttn, Tensor, TensorMut};

use crate::layers::{
    add, layer_norm, linear, linear_transposed, next_byte_loss, rms_norm, silu_gate, Rope, Rows,
};
use crate::model::{Layer, Model};

pub struct Transformer<'a> {
    model: &'a Model,
    ctx: Context,
}

impl<'a> Transformer<'a> {
    pub fn new(model: &'a Model) -> Result<Self> {
        Ok(Transformer { model, ctx: Context::new()? })
    }

    /// The loss of every byte but the first, given those before it.
    pub fn losses(&self, text: &[u8]) -> Result<Vec<f32>> {
        let c = &self.model.config;
        let bytes = &text[..text.len() - 1];
        let rope = Rope::new(c.rope, c.rope_theta, bytes.len());
        let embedding =
            |&byte: &u8| &self.model.embed[usize::from(byte) * c.d_model..][..c.d_model];
        let mut x: Vec<f32> = bytes.iter().flat_map(embedding).copied().collect();
        for layer in &self.model.layers {
            self.attention(layer, &rope, &mut x)?;
            self.feed_forward(layer, &mut x);
        }
        let h = self.normed(&x, &self.model.norm);
        let logits = project(&h, &self.model.embed, c.d_model, c.vocab);
        let targets = text[1..].iter();
        Ok(logits.chunks(c.vocab).zip(targets).map(|(row, &t)| next_byte_loss(row, t)).collect())
    }

    /// x += wo wuv attention(norm1(x)). Multi-head latent attention in its absorbed form: W_uk is
    /// applied to the query instead of to every key, so that one row serves all heads.
    fn attention(&self, layer: &Layer, rope: &Rope, x: &mut [f32]) -> Result<()> {
        let c = &self.model.config;
        let (d, heads, latent, kv_dim) = (c.d_model, c.n_heads, c.kv_latent, c.kv_dim());
        let rows = x.len() / d;
        let h = self.normed(x, &layer.norm1);

        let mut kv = project(&h, &layer.wkv, d, kv_dim);
        for (t, row) in kv.chunks_mut(kv_dim).enumerate() {
            rms_norm(&mut row[..latent], &layer.kv_norm, c.norm_eps);
            rope.rotate(t, &mut row[latent..]);
        }

        let q_width = heads * c.q_head();
        let mut q = project(&h, &layer.wq, d, q_width);
        let mut absorbed = vec![0f32; rows * heads * kv_dim];
        for a in 0..heads {
            let from = Rows { first: a * c.q_head(), stride: q_width };
            let to = Rows { first: a * kv_dim, stride: heads * kv_dim };
            let w = &layer.wuk[a * c.nope * latent..][..c.nope * latent];
            linear_transposed(rows, (&q, from), w, (&mut absorbed, to), latent);
        }
        let heads_of = q.chunks_mut(c.q_head()).zip(absorbed.chunks_mut(kv_dim));
        for (i, (q, absorbed)) in heads_of.enumerate() {
            rope.rotate(i / heads, &mut q[c.nope..]);
            absorbed[latent..].copy_from_slice(&q[c.nope..]);
        }

        let k = c.topk.min(rows);
        let indices = self.select(layer, rope, &h, k)?;
        let mut attended = vec![0f32; rows * heads * latent];
        let scale = 1.0 / (c.q_head() as f32).sqrt();
        SparseAttn::new(
            Tensor::new(&absorbed, [rows, heads, kv_dim])?,
            Tensor::new(&kv, [rows, kv_dim])?,
            scale,
        )
        .indices(Tensor::new(&indices, [rows, k])?)
        .k(k as i32)
        .out(TensorMut::new(&mut attended, [rows, heads, latent])?)
        .run(&self.ctx)?;

        let mut values = vec![0f32; rows * heads * c.v_head];
        for a in 0..heads {
            let from = Rows { first: a * latent, stride: heads * latent };
            let to = Rows { first: a * c.v_head, stride: heads * c.v_head };
            let w = &layer.wuv[a * c.v_head * latent..][..c.v_head * latent];
            linear(rows, (&attended, from), w, (&mut values, to), c.v_head);
        }
        add(x, &project(&values, &layer.wo, heads * c.v_head, d));
        Ok(())
    }

    /// The lightning indexer's projections of h, and for each row the k best keys up to its own:
    /// indices [rows, k].
    fn select(&self, layer: &Layer, rope: &Rope, h: &[f32], k: usize) -> Result<Vec<i32>> {
        let c = &self.model.config;
        let (d, heads, dim) = (c.d_model, c.index_heads, c.index_dim);
        let rows = h.len() / d;
        let mut q = project(h, &layer.iq, d, heads * dim);
        for (i, head) in q.chunks_mut(dim).enumerate() {
            rope.rotate(i / heads, head);
        }
        let mut keys = project(h, &layer.ik, d, dim);
        for (t, key) in keys.chunks_mut(dim).enumerate() {
            layer_norm(key, &layer.ik_norm_weight, &layer.ik_norm_bias, c.norm_eps);
            rope.rotate(t, key);
        }
        let mut w = project(h, &layer.iw, d, heads);
        let scale = 1.0 / ((heads * dim) as f32).sqrt(); // Hi^-0.5 Di^-0.5
        w.iter_mut().for_each(|w| *w *= scale);

        let mut indices = vec![0i32; rows * k];
        IndexerTopk::new(
            Tensor::new(&q, [rows, heads, dim])?,
            Tensor::new(&keys, [rows, dim])?,
            k as i32,
        )
        .w(Tensor::new(&w, [rows, heads])?)
        .flags(Flags::CAUSAL)
        .indices(TensorMut::new(&mut indices, [rows, k])?)
        .run(&self.ctx)?;
        Ok(indices)
    }

    /// x += w2 (silu(w1 h) * w3 h), h = norm2(x)
    fn feed_forward(&self, layer: &Layer, x: &mut [f32]) {
        let c = &self.model.config;
        let h = self.normed(x, &layer.norm2);
        let mut gate = project(&h, &layer.w1, c.d_model, c.ffn);
        silu_gate(&mut gate, &project(&h, &layer.w3, c.d_model, c.ffn));
        add(x, &project(&gate, &layer.w2, c.ffn, c.d_model));
    }

    fn normed(&self, x: &[f32], gain: &[f32]) -> Vec<f32> {
        let c = &self.model.config;
        let mut h = x.to_vec();
        h.chunks_mut(c.d_model).for_each(|row| rms_norm(row, gain, c.norm_eps));
        h
    }
}

/// All rows of x times W^T.
fn project(x: &[f32], w: &[f32], inner: usize, out: usize) -> Vec<f32> {
    let rows = x.len() / inner;
    let mut y = vec![0f32; rows * out];
    linear(rows, (x, Rows::dense(inner)), w, (&mut y, Rows::dense(out)), out);
    y
}
