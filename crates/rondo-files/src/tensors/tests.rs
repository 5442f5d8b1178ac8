//! The bytes of a tensor file: the `safetensors` crate can read them, they are always the same, and
//! invalid bytes cause no harm.

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use super::*;

fn f32s(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor<'static> {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    NamedTensor {
        name: name.to_owned(),
        dtype: Dtype::F32,
        shape: shape.to_vec(),
        bytes: Cow::Owned(bytes),
    }
}

fn u8s(name: &str, bytes: &'static [u8]) -> NamedTensor<'static> {
    NamedTensor {
        name: name.to_owned(),
        dtype: Dtype::U8,
        shape: vec![bytes.len()],
        bytes: Cow::Borrowed(bytes),
    }
}

fn metadata() -> BTreeMap<String, String> {
    (0..9).map(|i| (format!("key{i}"), i.to_string())).collect()
}

fn sample() -> TensorFile<'static> {
    let tensors = [
        u8s("a", b"odd"),
        f32s("w", &[2, 1], &[1.0, -2.5]),
        f32s("b", &[], &[0.5]),
    ];
    TensorFile::new(tensors, metadata()).expect("a tensor file")
}

#[test]
fn a_file_reads_back_as_it_was_written_by_us_and_by_the_reference() {
    let bytes = sample().to_bytes().expect("bytes");
    let read = TensorFile::parse(&bytes).expect("the file just written");
    assert_eq!(read, sample());
    let values = read
        .get("w")
        .expect("the tensor")
        .f32_values()
        .expect("floats");
    let bits: Vec<_> = values.into_iter().map(f32::to_bits).collect();
    assert_eq!(bits, [1.0_f32, -2.5].map(f32::to_bits));
    let names: Vec<_> = read
        .tensors()
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "w"]);

    let reference = SafeTensors::deserialize(&bytes).expect("a valid file");
    assert_eq!(reference.tensor("w").expect("the tensor").shape(), [2, 1]);
    assert_eq!(reference.tensor("a").expect("the tensor").data(), b"odd");
}

#[test]
fn without_metadata_the_bytes_are_those_of_the_reference() {
    let file = TensorFile::new(sample().into_tensors(), BTreeMap::new()).expect("a tensor file");
    let views = file.tensors().iter().map(|tensor| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
        (tensor.name.as_str(), view.expect("a view"))
    });
    let reference = safetensors::serialize(views, None).expect("reference bytes");
    assert_eq!(file.to_bytes().expect("bytes"), reference);
}

#[test]
fn order_of_insertion_and_streaming_do_not_change_the_bytes() {
    let bytes = sample().to_bytes().expect("bytes");
    let mut reversed = sample().into_tensors();
    reversed.reverse();
    let reversed = TensorFile::new(reversed, metadata()).expect("a tensor file");
    assert_eq!(reversed.to_bytes().expect("bytes"), bytes);
    let mut streamed = Vec::new();
    reversed.write_to(&mut streamed).expect("a write to memory");
    assert_eq!(streamed, bytes);
    let json = b"{\"__metadata__\":{\"key0\":\"0\",\"key1\":\"1\",";
    assert_eq!(&bytes[8..8 + json.len()], json);
}

#[test]
fn sets_that_cannot_be_written_are_refused_by_name() {
    let new = |tensors: Vec<NamedTensor<'static>>| TensorFile::new(tensors, BTreeMap::new());
    let twice = new(vec![u8s("a", b"1"), u8s("b", b"2"), u8s("a", b"3")]);
    assert!(matches!(twice, Err(TensorError::Duplicate { name }) if name == "a"));
    let reserved = new(vec![u8s("__metadata__", b"1")]);
    assert!(matches!(reserved, Err(TensorError::Reserved { .. })));
    for shape in [vec![3], vec![], vec![usize::MAX, 2], vec![usize::MAX, 3]] {
        let misfit = new(vec![NamedTensor {
            shape,
            ..f32s("w", &[2], &[0.0; 2])
        }]);
        assert!(matches!(misfit, Err(TensorError::Length { actual: 8, .. })));
    }
    let text = u8s("a", b"1")
        .f32_values()
        .expect_err("bytes are not floats")
        .to_string();
    assert_eq!(text, "tensor \"a\" should be F32 but is U8");
}

#[test]
fn every_truncation_is_refused_and_no_flipped_bit_panics() {
    let good = sample().to_bytes().expect("bytes");
    for length in 0..good.len() {
        TensorFile::parse(&good[..length]).expect_err("a truncated file");
    }
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(file) = TensorFile::parse(&bad) {
            assert_ne!(file, sample(), "bit {bit} changed nothing");
        }
    }
}

#[test]
fn headers_that_announce_more_than_memory_holds_are_refused() {
    let framed = |header: &str| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes
    };
    // Eight tensors of 2^61 - 1 bytes: their sum, together with the header, exceeds 2^64.
    let size = (1_usize << 61) - 1;
    let tensors: Vec<_> = (0..8)
        .map(|i| {
            let (start, end) = (i * size, (i + 1) * size);
            format!(r#""t{i}":{{"dtype":"U8","shape":[{size}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let overflowing = framed(&format!("{{{}}}", tensors.join(",")));
    assert!(matches!(
        TensorFile::parse(&overflowing),
        Err(TensorError::Size { .. })
    ));
    let too_large = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    assert!(matches!(
        TensorFile::parse(&too_large),
        Err(TensorError::HeaderTooLarge { .. })
    ));
    for header in ["", "[]", "{", &"[".repeat(100_000), "{\"a\":{}}"] {
        assert!(matches!(
            TensorFile::parse(&framed(header)),
            Err(TensorError::Header(_))
        ));
    }
}
