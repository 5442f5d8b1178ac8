use std::collections::BTreeMap;

use rondo_files::TensorFile;

use super::*;

fn floats(name: &str, values: &[f32]) -> NamedTensor<'static> {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    NamedTensor {
        name: name.to_owned(),
        dtype: DType::F32,
        shape: vec![values.len()],
        bytes: bytes.into(),
    }
}

fn tokens(name: &str, ids: &[i64]) -> NamedTensor<'static> {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    NamedTensor {
        name: name.to_owned(),
        dtype: DType::I64,
        shape: vec![1, ids.len()],
        bytes: bytes.into(),
    }
}

fn values(tensors: impl IntoIterator<Item = NamedTensor<'static>>) -> Values {
    let file = TensorFile::new(tensors, BTreeMap::new()).expect("named tensors");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join(FILE);
    std::fs::write(path, file.to_bytes().expect("bytes")).expect("writable");
    // The open file remains readable after the folder is removed.
    Values::open(dir.path()).expect("whole")
}

fn named(names: &[&str]) -> Values {
    values(names.iter().map(|name| floats(name, &[1.0])))
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T>, message: &str) {
    let error = result.expect_err("wrong");
    assert_eq!(error.exit_code(), 4);
    let (error, end) = (error.to_string(), format!("{FILE}: {message}"));
    assert!(error.ends_with(&end), "{error}");
}

#[test]
fn a_tensor_that_is_not_as_expected_is_named() {
    let values = values([
        floats("x", &[1.0, 2.0]),
        floats("y", &[0.0, f32::NAN]),
        tokens("ids", &[3, 4]),
        tokens("negative", &[-1]),
        tokens("none", &[]),
    ]);
    assert_eq!(values.floats("x", &[2]).expect("finite"), [1.0, 2.0]);
    assert_eq!(values.ids("ids", [1, 2], 5).expect("known"), [3, 4]);
    assert_refused(values.floats("z", &[2]), "holds no tensor z");
    assert_refused(
        values.floats("x", &[1, 2]),
        "tensor x must be [1, 2], is [2]",
    );
    assert_refused(
        values.floats("ids", &[1, 2]),
        "tensor ids must be F32, is I64",
    );
    assert_refused(values.integer("x"), "tensor x must be I64, is F32");
    assert_refused(values.floats("y", &[2]), "tensor y has NaN at element 1");
    assert_refused(
        values.ids("ids", [1, 2], 4),
        "tensor ids has 4 at element 1; the vocabulary has 4 tokens",
    );
    assert_refused(
        values.ids("negative", [1, 1], 4),
        "tensor negative has -1 at element 0; the vocabulary has 4 tokens",
    );
    assert_refused(
        values.rows("none"),
        "tensor none must be [batch, seq], neither of them 0, is [1, 0]",
    );
}

#[test]
fn depths_and_unroll_are_those_of_the_names() {
    let values = named(&[
        "logits_r8",
        "logits_r1",
        "logits_raw",
        "loss_n2_k3",
        "loss_r1",
    ]);
    let depths = values.depths().expect("two depths");
    assert_eq!(depths.into_iter().collect::<Vec<_>>(), [1, 8]);
    let unroll = values.unroll().expect("one unroll");
    let expected = Unroll {
        no_grad: 2,
        with_grad: 3,
    };
    assert_eq!(unroll, Some(expected));
    assert_eq!(named(&["loss_r1"]).unroll().expect("no gradients"), None);
}

#[test]
fn iterations_that_no_run_may_have_are_refused() {
    assert_refused(
        named(&["logits_r0"]).depths(),
        "tensor logits_r0: iterations must be 1 to 64, found 0",
    );
    assert_refused(
        named(&["loss_n2_k0"]).unroll(),
        "tensor loss_n2_k0: iterations must be 1 to 64, found 0",
    );
    assert_refused(
        named(&["loss_n62_k3"]).unroll(),
        "tensor loss_n62_k3: iterations must be 1 to 64, found 65",
    );
    assert_refused(
        values([floats("exit", &[])]).series("exit"),
        "tensor exit: iterations must be 1 to 64, found 0",
    );
}

#[test]
fn gradients_are_of_one_unroll() {
    assert_refused(
        named(&["grad.w"]).unroll(),
        "has gradients, but no loss_n…_k… of their iterations",
    );
    assert_refused(
        named(&["loss_n0_k1", "loss_n2_k3"]).unroll(),
        "has more than one loss_n…_k…; gradients are of one",
    );
}
