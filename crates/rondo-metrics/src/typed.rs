//! Metrics as constants with types. The type of a metric contains the kind of its records and the
//! form of its value.
//!
//! `LOSS` is a [`Scalar<Train>`]: it can only be written into records of training steps, as a
//! number or null, and it is read as a number. `VAL_LOSS` is a [`PerDepth<Eval>`]: the record of an
//! evaluation contains one value per depth, for example `VAL_LOSS.at(16)`.

use std::borrow::Cow;
use std::marker::PhantomData;

use crate::metric::{Kind, Metric, Presence, Shape};
use crate::value::Value;

/// A kind of record that contains metrics.
pub trait Measured: Copy {
    /// The kind as a value of the enum.
    const KIND: Kind;
}

/// Records of training steps.
#[derive(Clone, Copy, Debug)]
pub struct Train;

/// Records of evaluations.
#[derive(Clone, Copy, Debug)]
pub struct Eval;

impl Measured for Train {
    const KIND: Kind = Kind::Train;
}

impl Measured for Eval {
    const KIND: Kind = Kind::Eval;
}

/// The value of one name in a record: a number or null, or a series.
pub trait Held: Into<Value> {
    /// The type of the content that is read.
    type Read<'a>;

    /// Returns the content of a value; `None` if the value is null or of another form.
    fn read(value: &Value) -> Option<Self::Read<'_>>;
}

impl Held for Option<f64> {
    type Read<'a> = f64;

    fn read(value: &Value) -> Option<f64> {
        value.as_number()
    }
}

impl Held for Vec<Option<f64>> {
    type Read<'a> = &'a [Option<f64>];

    fn read(value: &Value) -> Option<&[Option<f64>]> {
        value.as_series()
    }
}

/// The form of a metric: how many values the metric has in a record, and their type.
pub trait Form: Copy {
    /// The form as a value of the enum.
    const SHAPE: Shape;
    /// The type of each value.
    type Value: Held;
}

/// The forms with one value under the metric's name.
pub trait Whole: Form {}

/// The forms with a value per evaluated recurrence depth.
pub trait Deep: Form {}

macro_rules! forms {
    ($($(#[$about:meta])* $form:ident: $value:ty $(, $arity:ident)?;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub struct $form;

        impl Form for $form {
            const SHAPE: Shape = Shape::$form;
            type Value = $value;
        }

        $(impl $arity for $form {})?
    )*};
}

/// The forms of metrics as types. The enum [`Shape`] has the same forms.
pub mod form {
    use super::{Deep, Form, Shape, Whole};

    forms! {
        /// One number.
        Scalar: Option<f64>, Whole;
        /// One number per iteration.
        PerIteration: Vec<Option<f64>>, Whole;
        /// One number per evaluated recurrence depth.
        PerDepth: Option<f64>, Deep;
        /// A series of numbers per evaluated recurrence depth.
        SeriesPerDepth: Vec<Option<f64>>, Deep;
        /// One number per layer.
        PerLayer: Option<f64>;
        /// One number per source of a mixture.
        PerSource: Option<f64>;
    }
}

/// A metric in records of the kind `K` and in the form `F`, with its name, unit and meaning from
/// the table.
#[derive(Clone, Copy, Debug)]
pub struct Typed<K, F> {
    metric: Metric,
    is: PhantomData<(K, F)>,
}

/// A metric with one number.
pub type Scalar<K> = Typed<K, form::Scalar>;
/// A metric with one number per iteration.
pub type PerIteration<K> = Typed<K, form::PerIteration>;
/// A metric with one number per evaluated recurrence depth.
pub type PerDepth<K> = Typed<K, form::PerDepth>;
/// A metric with a series of numbers per evaluated recurrence depth.
pub type SeriesPerDepth<K> = Typed<K, form::SeriesPerDepth>;
/// A metric with one number per layer.
pub type PerLayer<K> = Typed<K, form::PerLayer>;
/// A metric with one number per source of a mixture.
pub type PerSource<K> = Typed<K, form::PerSource>;

impl<K: Measured, F: Form> Typed<K, F> {
    /// Makes a metric that is present in every record of its kind.
    pub(crate) const fn new(name: &'static str, unit: &'static str, meaning: &'static str) -> Self {
        Self {
            metric: Metric {
                name,
                kind: K::KIND,
                shape: F::SHAPE,
                unit,
                presence: Presence::Always,
                meaning,
            },
            is: PhantomData,
        }
    }

    /// Returns the metric with another presence.
    pub(crate) const fn only(mut self, presence: Presence) -> Self {
        self.metric.presence = presence;
        self
    }

    /// Returns the name, without a depth or a layer.
    pub const fn name(self) -> &'static str {
        self.metric.name
    }

    /// Returns the metric's row of the table.
    pub const fn metric(self) -> Metric {
        self.metric
    }
}

impl<K: Measured, F: Deep> Typed<K, F> {
    /// Returns the entry of the metric at recurrence depth `r`, for example `val_loss@16`.
    pub fn at(self, recurrence: usize) -> Part<K, F::Value> {
        Part::new(format!("{}@{recurrence}", self.metric.name))
    }
}

impl<K: Measured> PerLayer<K> {
    /// Returns the entry of the metric for a layer, for example `sparsity.layer.core.0`.
    pub fn of(self, layer: &str) -> Part<K, Option<f64>> {
        Part::new(format!("{}.{layer}", self.metric.name))
    }
}

impl<K: Measured> PerSource<K> {
    /// Returns the entry of the metric for a source, for example `val_cross_entropy.source.web`.
    pub fn of(self, source: &str) -> Part<K, Option<f64>> {
        Part::new(format!("{}.{source}", self.metric.name))
    }
}

/// The entry of a metric at one depth, for one layer, or for one source.
#[derive(Clone, Debug)]
pub struct Part<K, V> {
    name: String,
    is: PhantomData<(K, V)>,
}

impl<K, V> Part<K, V> {
    fn new(name: String) -> Self {
        Self {
            name,
            is: PhantomData,
        }
    }

    /// Returns the name of the entry in records.
    pub fn into_name(self) -> String {
        self.name
    }
}

/// A name in the records of one kind, with the type of its value.
pub trait Entry: Sized {
    /// The kind of the records.
    type Kind: Measured;
    /// The type of the value.
    type Value: Held;

    /// Returns the name of the entry in records.
    fn written(self) -> Cow<'static, str>;
}

impl<K: Measured, F: Whole> Entry for Typed<K, F> {
    type Kind = K;
    type Value = F::Value;

    fn written(self) -> Cow<'static, str> {
        Cow::Borrowed(self.metric.name)
    }
}

impl<K: Measured, V: Held> Entry for Part<K, V> {
    type Kind = K;
    type Value = V;

    fn written(self) -> Cow<'static, str> {
        Cow::Owned(self.name)
    }
}
