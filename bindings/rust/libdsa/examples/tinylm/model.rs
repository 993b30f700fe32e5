//! The trained model: sizes and weights, everything in f32. A Linear is y = W x, W [out, in].

use std::error::Error;
use std::fs;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

pub struct Config {
    pub vocab: usize,
    pub d_model: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    /// What K and V of all heads are made from.
    pub kv_latent: usize,
    /// The rotated part of a query or key, and the other.
    pub rope: usize,
    pub nope: usize,
    pub v_head: usize,
    pub ffn: usize,
    pub index_heads: usize,
    pub index_dim: usize,
    pub topk: usize,
    pub rope_theta: f64,
    pub norm_eps: f64,
}

impl Config {
    fn load(path: &Path) -> Result<Self, Box<dyn Error>> {
        let json: serde_json::Value = serde_json::from_slice(&fs::read(path)?)?;
        let number = |key: &str| {
            let value = json[key].as_f64().filter(|&value| value > 0.0);
            value.ok_or_else(|| format!("{}: {key} is not a number above 0", path.display()))
        };
        let size = |key: &str| number(key).map(|value| value as usize);
        Ok(Config {
            vocab: size("vocab")?,
            d_model: size("d_model")?,
            n_layers: size("n_layers")?,
            n_heads: size("n_heads")?,
            kv_latent: size("kv_latent")?,
            rope: size("rope")?,
            nope: size("nope")?,
            v_head: size("v_head")?,
            ffn: size("ffn")?,
            index_heads: size("index_heads")?,
            index_dim: size("index_dim")?,
            topk: size("topk")?,
            rope_theta: number("rope_theta")?,
            norm_eps: number("norm_eps")?,
        })
    }

    /// D: a row of the KV cache.
    pub fn kv_dim(&self) -> usize {
        self.kv_latent + self.rope
    }

    pub fn q_head(&self) -> usize {
        self.nope + self.rope
    }
}

pub struct Layer {
    pub norm1: Vec<f32>,
    pub wq: Vec<f32>,      // [H (nope + rope), d]
    pub wkv: Vec<f32>,     // [r + rope, d]
    pub kv_norm: Vec<f32>, // [r]
    pub wuk: Vec<f32>,     // [H nope, r]
    pub wuv: Vec<f32>,     // [H v, r]
    pub wo: Vec<f32>,      // [d, H v]
    pub iq: Vec<f32>,      // [Hi Di, d]
    pub ik: Vec<f32>,      // [Di, d]
    pub ik_norm_weight: Vec<f32>,
    pub ik_norm_bias: Vec<f32>,
    pub iw: Vec<f32>, // [Hi, d]
    pub norm2: Vec<f32>,
    pub w1: Vec<f32>, // [ffn, d]
    pub w3: Vec<f32>,
    pub w2: Vec<f32>, // [d, ffn]
}

pub struct Model {
    pub config: Config,
    pub embed: Vec<f32>, // [vocab, d], the output's matrix too
    pub norm: Vec<f32>,
    pub layers: Vec<Layer>,
}

impl Model {
    pub fn load(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let c = Config::load(&folder.join("config.json"))?;
        let bytes = fs::read(folder.join("model.safetensors"))?;
        let file = SafeTensors::deserialize(&bytes)?;
        let d = c.d_model;
        let layer = |i: usize| -> Result<Layer, Box<dyn Error>> {
            let floats =
                |name: &str, shape: &[usize]| floats(&file, &format!("layers.{i}.{name}"), shape);
            Ok(Layer {
                norm1: floats("norm1.weight", &[d])?,
                wq: floats("wq.weight", &[c.n_heads * c.q_head(), d])?,
                wkv: floats("wkv.weight", &[c.kv_dim(), d])?,
                kv_norm: floats("kv_norm.weight", &[c.kv_latent])?,
                wuk: floats("wuk.weight", &[c.n_heads * c.nope, c.kv_latent])?,
                wuv: floats("wuv.weight", &[c.n_heads * c.v_head, c.kv_latent])?,
                wo: floats("wo.weight", &[d, c.n_heads * c.v_head])?,
                iq: floats("iq.weight", &[c.index_heads * c.index_dim, d])?,
                ik: floats("ik.weight", &[c.index_dim, d])?,
                ik_norm_weight: floats("ik_norm.weight", &[c.index_dim])?,
                ik_norm_bias: floats("ik_norm.bias", &[c.index_dim])?,
                iw: floats("iw.weight", &[c.index_heads, d])?,
                norm2: floats("norm2.weight", &[d])?,
                w1: floats("w1.weight", &[c.ffn, d])?,
                w3: floats("w3.weight", &[c.ffn, d])?,
                w2: floats("w2.weight", &[d, c.ffn])?,
            })
        };
        Ok(Model {
            embed: floats(&file, "embed.weight", &[c.vocab, d])?,
            norm: floats(&file, "norm.weight", &[d])?,
            layers: (0..c.n_layers).map(layer).collect::<Result<_, _>>()?,
            config: c,
        })
    }
}

/// One tensor of a file.
pub fn read_floats(path: &Path, name: &str, shape: &[usize]) -> Result<Vec<f32>, Box<dyn Error>> {
    floats(&SafeTensors::deserialize(&fs::read(path)?)?, name, shape)
}

fn floats(file: &SafeTensors, name: &str, shape: &[usize]) -> Result<Vec<f32>, Box<dyn Error>> {
    let tensor = file.tensor(name)?;
    if tensor.shape() != shape {
        return Err(format!("{name} is {:?}, {shape:?} is wanted", tensor.shape()).into());
    }
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => Ok(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
        Dtype::BF16 => {
            let halves = bytes.as_chunks().0.iter();
            Ok(halves.map(|&b| half::bf16::from_le_bytes(b).to_f32()).collect())
        }
        dtype => Err(format!("{name} is {dtype:?}, F32 or BF16 is wanted").into()),
    }
}
