//! Structures of named values on a device that are read together.
//!
//! The type parameter of a structure says where its values are: those of `Telemetry<Tensor<1>>` are
//! on the device, those of `Telemetry<f64>` have been read. All values of a structure are read as
//! one vector. Burn's `Transaction` would also wait for the device only once, but it copies each
//! tensor separately.

use burn::tensor::Tensor;
use rondo_model::contraction::Contraction;
use rondo_model::gates::Density;

use crate::error::Result;
use crate::step::read;

/// Declares a structure of values and implements [`Named`] for it. The fields in `values` are a `T`
/// each, the fields in `lists` a `Vec<T>` each, and the fields in `parts` are other such
/// structures. The fields in `beside` have types of their own and are never on the device.
macro_rules! named {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident<$t:ident> {
            $(values { $($(#[$of_value:meta])* $value_vis:vis $value:ident,)* })?
            $(lists { $($(#[$of_list:meta])* $list_vis:vis $list:ident,)* })?
            $(parts { $($(#[$of_part:meta])* $part_vis:vis $part:ident: $part_type:ty,)* })?
            $(beside { $($(#[$of_other:meta])* $other_vis:vis $other:ident: $other_type:ty,)* })?
        }
    ) => {
        $(#[$about])*
        $vis struct $name<$t> {
            $($($(#[$of_value])* $value_vis $value: $t,)*)?
            $($($(#[$of_list])* $list_vis $list: Vec<$t>,)*)?
            $($($(#[$of_part])* $part_vis $part: $part_type,)*)?
            $($($(#[$of_other])* $other_vis $other: $other_type,)*)?
        }

        impl<$t> $crate::named::Named<$t> for $name<$t> {
            type With<U> = $name<U>;

            fn map<U>(self, replace: &mut impl FnMut($t) -> U) -> $name<U> {
                #[allow(unused_imports, reason = "not every structure has parts")]
                use $crate::named::Named as _;
                $name {
                    $($($value: replace(self.$value),)*)?
                    $($($list: self.$list.into_iter().map(&mut *replace).collect(),)*)?
                    $($($part: self.$part.map(&mut *replace),)*)?
                    $($($other: self.$other,)*)?
                }
            }
        }
    };
}

pub(crate) use named;

/// A structure whose values have the type `T`.
pub trait Named<T> {
    /// This structure, with values of the type `U`.
    type With<U>;

    /// Replaces every value. The values are visited in the same order each time.
    fn map<U>(self, replace: &mut impl FnMut(T) -> U) -> Self::With<U>;
}

/// The structure `N` of tensors, after each of its tensors was read as a `V`.
type Read<N, V> = <<N as Named<Tensor<1>>>::With<usize> as Named<usize>>::With<V>;

impl<T, N: Named<T>> Named<T> for Vec<N> {
    type With<U> = Vec<N::With<U>>;

    fn map<U>(self, replace: &mut impl FnMut(T) -> U) -> Vec<N::With<U>> {
        self.into_iter().map(|each| each.map(replace)).collect()
    }
}

impl<T> Named<T> for Contraction<T> {
    type With<U> = Contraction<U>;

    fn map<U>(self, replace: &mut impl FnMut(T) -> U) -> Contraction<U> {
        Contraction {
            mean: replace(self.mean),
            max: replace(self.max),
        }
    }
}

impl<T> Named<T> for Density<T> {
    type With<U> = Density<U>;

    fn map<U>(self, replace: &mut impl FnMut(T) -> U) -> Density<U> {
        Density {
            at: self.at,
            expected: replace(self.expected),
            kept: replace(self.kept),
        }
    }
}

/// Reads a structure of numbers. Each number is a tensor of shape `[1]`.
///
/// # Errors
///
/// When the device fails.
///
/// # Panics
///
/// Panics when a tensor is empty.
pub fn read_numbers<N>(named: N) -> Result<Read<N, f64>>
where
    N: Named<Tensor<1>>,
    N::With<usize>: Named<usize>,
{
    read_each(named, |values| f64::from(values[0]))
}

/// Reads a structure of vectors of any length.
///
/// # Errors
///
/// When the device fails.
pub fn read_vectors<N>(named: N) -> Result<Read<N, Vec<f64>>>
where
    N: Named<Tensor<1>>,
    N::With<usize>: Named<usize>,
{
    read_each(named, |values| {
        values.iter().copied().map(f64::from).collect()
    })
}

fn read_each<N, V>(named: N, mut value: impl FnMut(&[f32]) -> V) -> Result<Read<N, V>>
where
    N: Named<Tensor<1>>,
    N::With<usize>: Named<usize>,
{
    let mut tensors = Vec::new();
    let lengths = named.map(&mut |tensor: Tensor<1>| {
        let [length] = tensor.dims();
        tensors.push(tensor);
        length
    });
    let values = match tensors.is_empty() {
        true => Vec::new(),
        false => read(Tensor::cat(tensors, 0))?,
    };
    let mut rest = values.as_slice();
    Ok(lengths.map(&mut |length: usize| {
        let (own, others) = rest.split_at(length);
        rest = others;
        value(own)
    }))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use rondo_model::layer::At;

    use super::*;

    fn tensor<const N: usize>(values: [f32; N]) -> Tensor<1> {
        Tensor::from_data(values, &Device::flex())
    }

    fn density<T>(layer: usize, expected: T, kept: T) -> Density<T> {
        Density {
            at: At::Prelude { layer },
            expected,
            kept,
        }
    }

    #[test]
    fn every_value_comes_back_under_its_name() {
        let densities = vec![
            density(0, tensor([0.5]), tensor([0.25])),
            density(1, tensor([0.125]), tensor([1.0])),
        ];
        let read = read_numbers(densities).expect("flex does not fail");
        let expected = [density(0, 0.5, 0.25), density(1, 0.125, 1.0)];
        assert_eq!(read, expected);
    }

    #[test]
    fn vectors_keep_their_lengths() {
        let density = density(0, tensor([1.0, 2.0, 3.0]), tensor([4.0]));
        let read = read_vectors(density).expect("flex does not fail");
        assert_eq!(read.expected, [1.0, 2.0, 3.0]);
        assert_eq!(read.kept, [4.0]);
    }

    #[test]
    fn nothing_is_read_of_nothing() {
        let none: Vec<Density> = Vec::new();
        assert_eq!(read_numbers(none).expect("no device"), []);
    }
}
