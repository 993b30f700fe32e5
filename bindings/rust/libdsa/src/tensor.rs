use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;

use libdsa_sys as sys;

use crate::element::{DType, Element};
use crate::error::{Error, Result};

/// A borrowed view of numbers that an operation reads, of up to 5 axes, slowest first.
///
/// ```compile_fail,E0597
/// # use libdsa::{Context, Tensor, Topk};
/// let view = {
///     let scores = vec![0f32; 8];
///     Tensor::new(&scores, [2, 4])? // the scores do not live long enough
/// };
/// Topk::new(view, 2);
/// # Ok::<(), libdsa::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    pub(crate) raw: sys::dsa_tensor,
    data: PhantomData<&'a [u8]>,
}

/// A borrowed view of numbers that an operation writes. Nothing else may use them meanwhile:
///
/// ```compile_fail,E0499
/// # use libdsa::{Tensor, TensorMut, Topk};
/// # let scores = [0f32; 8];
/// let mut indices = [0i32; 4];
/// let mut call = Topk::new(Tensor::new(&scores, [2, 4])?, 2);
/// call.indices(TensorMut::new(&mut indices, [2, 2])?);
/// call.slots(TensorMut::new(&mut indices, [2, 2])?); // borrowed twice
/// # Ok::<(), libdsa::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorMut<'a> {
    pub(crate) raw: sys::dsa_tensor,
    data: PhantomData<&'a mut [u8]>,
}

// SAFETY: they stand for slices of numbers, which are Send and Sync.
unsafe impl Send for Tensor<'_> {}
unsafe impl Sync for Tensor<'_> {}
unsafe impl Send for TensorMut<'_> {}
unsafe impl Sync for TensorMut<'_> {}

impl<'a> Tensor<'a> {
    /// A dense view of all of `data`.
    #[inline]
    pub fn new<E: Element>(data: &'a [E], shape: impl AsRef<[usize]>) -> Result<Self> {
        let raw = dense(data.as_ptr(), data.len(), shape.as_ref())?;
        Ok(Tensor { raw, data: PhantomData })
    }

    /// A view with strides in elements: 0 repeats an axis, and they may be in any order.
    pub fn strided<E: Element>(
        data: &'a [E],
        shape: impl AsRef<[usize]>,
        strides: impl AsRef<[usize]>,
    ) -> Result<Self> {
        let raw = strided(data.as_ptr(), data.len(), shape.as_ref(), strides.as_ref())?;
        Ok(Tensor { raw, data: PhantomData })
    }

    /// A shape without data, for [`Context::supports`](crate::Context::supports), workspace sizes
    /// and plans.
    pub fn shape_only(dtype: DType, shape: impl AsRef<[usize]>) -> Result<Self> {
        Ok(Tensor { raw: without_data(dtype, shape.as_ref())?, data: PhantomData })
    }

    /// Any view, such as one of device memory.
    ///
    /// # Safety
    /// All elements that `raw` reaches can be read, by the device that it names, for `'a`; and for
    /// device memory until the stream has passed the call.
    pub unsafe fn from_raw(raw: sys::dsa_tensor) -> Self {
        Tensor { raw, data: PhantomData }
    }

    /// A dense view of memory of CUDA device `device`.
    ///
    /// # Safety
    /// As [`Tensor::from_raw`].
    pub unsafe fn cuda(
        data: *const c_void,
        device: i32,
        dtype: DType,
        shape: impl AsRef<[usize]>,
    ) -> Result<Self> {
        let raw = on_cuda(data.cast_mut(), device, dtype, shape.as_ref())?;
        Ok(Tensor { raw, data: PhantomData })
    }
}

impl<'a> TensorMut<'a> {
    /// A dense view of all of `data`.
    #[inline]
    pub fn new<E: Element>(data: &'a mut [E], shape: impl AsRef<[usize]>) -> Result<Self> {
        let raw = dense(data.as_mut_ptr(), data.len(), shape.as_ref())?;
        Ok(TensorMut { raw, data: PhantomData })
    }

    /// A view with strides in elements. Its elements must not overlap each other.
    pub fn strided<E: Element>(
        data: &'a mut [E],
        shape: impl AsRef<[usize]>,
        strides: impl AsRef<[usize]>,
    ) -> Result<Self> {
        let raw = strided(data.as_mut_ptr(), data.len(), shape.as_ref(), strides.as_ref())?;
        Ok(TensorMut { raw, data: PhantomData })
    }

    /// A shape without data, for [`Context::supports`](crate::Context::supports), workspace sizes
    /// and plans.
    pub fn shape_only(dtype: DType, shape: impl AsRef<[usize]>) -> Result<Self> {
        Ok(TensorMut { raw: without_data(dtype, shape.as_ref())?, data: PhantomData })
    }

    /// Any view, such as one of device memory.
    ///
    /// # Safety
    /// All elements that `raw` reaches can be written, by the device that it names, and nothing
    /// else uses them, for `'a`; and for device memory until the stream has passed the call.
    pub unsafe fn from_raw(raw: sys::dsa_tensor) -> Self {
        TensorMut { raw, data: PhantomData }
    }

    /// A dense view of memory of CUDA device `device`.
    ///
    /// # Safety
    /// As [`TensorMut::from_raw`].
    pub unsafe fn cuda(
        data: *mut c_void,
        device: i32,
        dtype: DType,
        shape: impl AsRef<[usize]>,
    ) -> Result<Self> {
        let raw = on_cuda(data, device, dtype, shape.as_ref())?;
        Ok(TensorMut { raw, data: PhantomData })
    }
}

const MAX_AXES: usize = 5;

/// Extents as the library takes them. A product that fits i64 keeps the strides from overflowing.
#[inline]
fn extents(shape: &[usize]) -> Result<([i64; MAX_AXES], usize)> {
    if shape.is_empty() || shape.len() > MAX_AXES {
        return Err(Error::invalid(format!(
            "a tensor has 1 to {MAX_AXES} axes; the shape is {shape:?}"
        )));
    }
    let mut extents = [0; MAX_AXES];
    let mut elements = 1usize;
    for (extent, &n) in extents.iter_mut().zip(shape) {
        // An empty axis must not hide an overflow of the others: strides come from them too.
        let grown = elements.checked_mul(n.max(1)).filter(|&e| i64::try_from(e).is_ok());
        elements = grown.ok_or_else(|| {
            Error::invalid(format!("the shape {shape:?} has more elements than memory can hold"))
        })?;
        *extent = n as i64;
    }
    if shape.contains(&0) {
        elements = 0;
    }
    Ok((extents, elements))
}

#[inline]
fn make(data: *mut c_void, dtype: DType, extents: &[i64]) -> sys::dsa_tensor {
    sys::dsa_tensor_make(data, dtype as i32, extents)
}

#[inline]
fn dense<E: Element>(data: *const E, len: usize, shape: &[usize]) -> Result<sys::dsa_tensor> {
    let (extents, elements) = extents(shape)?;
    if elements != len {
        return Err(Error::invalid(format!(
            "a tensor of shape {shape:?} has {elements} elements, the slice has {len}"
        )));
    }
    Ok(make(data.cast_mut().cast(), E::DTYPE, &extents[..shape.len()]))
}

fn strided<E: Element>(
    data: *const E,
    len: usize,
    shape: &[usize],
    strides: &[usize],
) -> Result<sys::dsa_tensor> {
    if strides.len() != shape.len() {
        return Err(Error::invalid(format!(
            "the shape {shape:?} needs {} strides, {strides:?} are given",
            shape.len()
        )));
    }
    let (extents, elements) = extents(shape)?;
    // 128 bits hold five products of 64-bit numbers.
    let last: u128 = shape
        .iter()
        .zip(strides)
        .map(|(&n, &stride)| n.saturating_sub(1) as u128 * stride as u128)
        .sum();
    if elements > 0 && last >= len as u128 {
        return Err(Error::invalid(format!(
            "a tensor of shape {shape:?} and strides {strides:?} ends at element {last}, the slice \
             has {len}"
        )));
    }
    let mut raw = make(data.cast_mut().cast(), E::DTYPE, &extents[..shape.len()]);
    for (to, &stride) in raw.stride.iter_mut().zip(strides) {
        *to = i64::try_from(stride)
            .map_err(|_| Error::invalid(format!("the strides {strides:?} are out of range")))?;
    }
    Ok(raw)
}

fn without_data(dtype: DType, shape: &[usize]) -> Result<sys::dsa_tensor> {
    let (extents, _) = extents(shape)?;
    Ok(make(ptr::null_mut(), dtype, &extents[..shape.len()]))
}

fn on_cuda(
    data: *mut c_void,
    device: i32,
    dtype: DType,
    shape: &[usize],
) -> Result<sys::dsa_tensor> {
    let (extents, _) = extents(shape)?;
    let mut raw = make(data, dtype, &extents[..shape.len()]);
    raw.device = sys::DSA_DEVICE_CUDA;
    raw.device_id = device;
    Ok(raw)
}
