//! Mistakes come back as errors with the library's text.

use libdsa::{
    Context, ContextOptions, DType, Error, Exec, IndexerTopk, SparseAttn, Status, Tensor,
    TensorMut, Topk, Workspace,
};

fn refused<T>(result: Result<T, Error>, status: Status, text: &str) {
    let error = result.err().expect("an error");
    assert_eq!(error.status(), status, "{error}");
    assert!(error.text().contains(text), "'{}' does not have '{text}'", error.text());
    assert!(error.to_string().contains(text));
}

fn context() -> Context {
    Context::new().unwrap()
}

#[test]
fn wrong_shape() {
    let (scores, mut indices) = ([0f32; 128], [0i32; 4]);
    let mut call = Topk::new(Tensor::new(&scores, [1, 128]).unwrap(), 8);
    call.indices(TensorMut::new(&mut indices, [1, 4]).unwrap());
    refused(call.run(&context()), Status::Invalid, "topk.indices.shape[1] is 4, k is 8");
    refused(context().supports(&call), Status::Invalid, "topk.indices.shape[1] is 4, k is 8");
    refused(context().workspace_size(&call), Status::Invalid, "topk.indices");
    refused(context().plan(&call), Status::Invalid, "topk.indices");
    assert_eq!(indices, [0; 4]);
}

#[test]
fn wrong_dtype() {
    let (scores, mut indices) = ([0i32; 128], [0i32; 8]);
    let mut call = Topk::new(Tensor::new(&scores, [1, 128]).unwrap(), 8);
    call.indices(TensorMut::new(&mut indices, [1, 8]).unwrap());
    refused(call.run(&context()), Status::Invalid, "topk.scores.dtype is 6 (i32)");
}

#[test]
fn missing_or_bad_fields() {
    let (scores, mut indices) = ([0f32; 128], [0i32; 8]);
    let scores = Tensor::new(&scores, [1, 128]).unwrap();
    refused(Topk::new(scores, 8).run(&context()), Status::Invalid, "topk");
    let mut call = Topk::new(scores, 0);
    call.indices(TensorMut::new(&mut indices, [1, 8]).unwrap());
    refused(call.run(&context()), Status::Invalid, "topk.k is 0");

    let (q, kv, mut out) = ([0f32; 64], [0f32; 64], [0f32; 64]);
    let q = Tensor::new(&q, [1, 4, 16]).unwrap();
    let mut call = SparseAttn::new(q, Tensor::new(&kv, [4, 16]).unwrap(), 0.0);
    call.k(4).out(TensorMut::new(&mut out, [1, 4, 16]).unwrap());
    refused(call.run(&context()), Status::Invalid, "sparse_attn.");
}

#[test]
fn no_data() {
    let mut indices = [0i32; 8];
    let mut call = Topk::new(Tensor::shape_only(DType::F32, [1, 128]).unwrap(), 8);
    call.indices(TensorMut::new(&mut indices, [1, 8]).unwrap());
    context().supports(&call).unwrap();
    refused(call.run(&context()), Status::Invalid, "topk.scores.data is NULL");
}

#[test]
fn an_output_that_overlaps_itself() {
    let (scores, mut indices) = ([0f32; 256], [0i32; 16]);
    let mut call = Topk::new(Tensor::new(&scores, [2, 128]).unwrap(), 8);
    call.indices(TensorMut::strided(&mut indices, [2, 8], [4, 1]).unwrap());
    refused(call.run(&context()), Status::Invalid, "topk.indices is an output whose strides");
}

#[test]
fn views_that_do_not_fit_their_slices() {
    let data = [0f32; 12];
    let new = |shape: &[usize]| Tensor::new(&data, shape);
    refused(new(&[3, 5]), Status::Invalid, "[3, 5] has 15 elements, the slice has 12");
    refused(new(&[3, 3]), Status::Invalid, "[3, 3] has 9 elements, the slice has 12");
    refused(new(&[]), Status::Invalid, "1 to 5 axes");
    refused(new(&[1, 1, 1, 1, 1, 12]), Status::Invalid, "1 to 5 axes");
    refused(new(&[usize::MAX, usize::MAX]), Status::Invalid, "more elements than memory");
    refused(new(&[0, usize::MAX, 2]), Status::Invalid, "more elements than memory");

    let strided = |shape: &[usize], strides: &[usize]| Tensor::strided(&data, shape, strides);
    strided(&[3, 4], &[4, 1]).unwrap();
    strided(&[100, 4], &[0, 3]).unwrap();
    strided(&[0, 4], &[1000, 1]).unwrap();
    refused(strided(&[3, 5], &[4, 1]), Status::Invalid, "ends at element 12, the slice has 12");
    refused(strided(&[2], &[usize::MAX]), Status::Invalid, "ends at element");
    refused(strided(&[1], &[usize::MAX]), Status::Invalid, "out of range");
    refused(strided(&[2, 2], &[1]), Status::Invalid, "needs 2 strides");
}

#[test]
fn too_small_or_crooked_a_workspace() {
    let ctx = context();
    let (q, keys, mut indices) = (vec![0f32; 64 * 64], vec![0f32; 4096 * 64], vec![0i32; 64 * 32]);
    let q = Tensor::new(&q, [64, 1, 64]).unwrap();
    let mut call = IndexerTopk::new(q, Tensor::new(&keys, [4096, 64]).unwrap(), 32);
    call.indices(TensorMut::new(&mut indices, [64, 32]).unwrap());
    let needed = ctx.workspace_size(&call).unwrap() as usize;
    assert!(needed > 256, "{needed}");

    let mut workspace = Workspace::new(needed);
    let mut run = |bytes: std::ops::Range<usize>| {
        call.run_with(&ctx, &mut Exec::new().workspace(&mut workspace[bytes]))
    };
    refused(run(0..needed - 256), Status::Workspace, "exec.workspace_size is");
    refused(run(1..needed), Status::Workspace, "must be aligned to 256 bytes");
    run(0..needed).unwrap();
}

#[test]
fn a_plan_of_another_context() {
    let (scores, mut indices) = ([0f32; 128], [0i32; 8]);
    let mut call = Topk::new(Tensor::new(&scores, [1, 128]).unwrap(), 8);
    call.indices(TensorMut::new(&mut indices, [1, 8]).unwrap());
    let (mine, other) = (context(), context());
    let plan = other.plan(&call).unwrap();
    let result = call.run_with(&mine, &mut Exec::new().plan(&plan));
    refused(result, Status::Invalid, "made by another context");
}

#[test]
fn a_context_that_cannot_be() {
    let create = |options: ContextOptions| options.create();
    refused(create(ContextOptions::new().num_threads(-1)), Status::Invalid, "num_threads is -1");
    refused(create(ContextOptions::new().module_path("a\0b")), Status::Invalid, "zero byte");
}

#[test]
fn a_cuda_module_that_is_not_there() {
    let cuda = || ContextOptions::new().module_path("/nonexistent/folder");
    refused(cuda().cuda(0).create(), Status::NoBackend, "/nonexistent/folder");
    cuda().cuda_if_present(0).create().unwrap();

    // SAFETY: never read, since the context has no device.
    let device = unsafe { Tensor::cuda(std::ptr::null(), 0, DType::F32, [1, 128]) };
    let mut call = Topk::new(device.unwrap(), 8);
    call.counts(TensorMut::shape_only(DType::I32, [1]).unwrap());
    refused(call.run(&context()), Status::NoBackend, "topk.scores.device is 2");
}
