//! Parquet files with plain columns: no nulls, no nesting.

mod delta;
mod hybrid;
mod texts;

pub use texts::Texts;

use texts::TextPages;

use crate::error::{Error, Result};
use crate::simulation::is_simulated;
use bytes::{Buf, Bytes};
use parquet::basic::{
    Compression, ConvertedType, Encoding, Repetition, Type as Physical, ZstdLevel,
};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, KeyValue, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::{ChunkReader, Length, SerializedPageReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};
use std::sync::Arc;

/// Encoding of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// 32-bit integers, delta encoded.
    Delta32,
    /// 32-bit integers as they are, which zstd compresses best if small ones repeat in patterns.
    Plain32,
    /// 64-bit integers, delta encoded.
    Delta64,
    /// 32-bit integers with a dictionary, for few distinct values.
    Dictionary32,
    /// 64-bit integers with a dictionary as long as that is small.
    Dictionary64,
    /// UTF-8 with a dictionary.
    Text,
    /// Prefix-compressed UTF-8 without a dictionary, for texts of which few are equal.
    Distinct,
    /// Ascending 64-bit integers, delta encoded, with the minimum and maximum of each row group.
    Sorted64,
    /// Bytes as they are.
    Binary,
}

/// Values of a column.
pub enum Column<'a> {
    /// For [`Layout::Delta32`], [`Layout::Plain32`] and [`Layout::Dictionary32`].
    I32(&'a [i32]),
    /// For [`Layout::Delta64`], [`Layout::Dictionary64`] and [`Layout::Sorted64`].
    I64(&'a [i64]),
    /// For [`Layout::Text`] and [`Layout::Distinct`].
    Text(&'a [&'a str]),
    /// For [`Layout::Binary`].
    Binary(&'a [&'a [u8]]),
}

impl Column<'_> {
    /// Number of rows.
    fn len(&self) -> usize {
        match self {
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Binary(values) => values.len(),
        }
    }
}

/// Writes a file, one row group at a time.
pub struct Writer {
    file: SerializedFileWriter<Vec<u8>>,
    /// The text in every row of the last column, if the file has such a column.
    constant: Option<ByteArray>,
}

/// Number of rows of a constant column that are written together.
const CONSTANT_ROWS: usize = 1 << 12;

impl Writer {
    /// A file with these columns, and a last one, whose name is given, with the same text in every row.
    pub fn with_constant(
        columns: &[(&str, Layout)],
        (name, text): (&str, &str),
        level: i32,
    ) -> Result<Self> {
        let columns = [columns, &[(name, Layout::Text)]].concat();
        let mut writer = Self::new(&columns, level)?;
        writer.constant = Some(ByteArray::from(text));
        Ok(writer)
    }

    /// A file with these columns; `level` is the zstd level.
    pub fn new(columns: &[(&str, Layout)], level: i32) -> Result<Self> {
        let mut fields = Vec::with_capacity(columns.len());
        let compression = if is_simulated() {
            Compression::UNCOMPRESSED
        } else {
            Compression::ZSTD(ZstdLevel::try_new(level)?)
        };
        let mut properties = WriterProperties::builder()
            .set_compression(compression)
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_created_by("davy-archive".to_owned())
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .set_data_page_size_limit(1 << 20)
            .set_data_page_row_count_limit(1 << 18)
            .set_write_batch_size(1 << 14)
            .set_dictionary_page_size_limit(1 << 18);
        for (name, layout) in columns {
            let path = ColumnPath::from(*name);
            let (physical, dictionary) = match layout {
                Layout::Delta32 | Layout::Plain32 => (Physical::INT32, false),
                Layout::Dictionary32 => (Physical::INT32, true),
                Layout::Delta64 | Layout::Sorted64 => (Physical::INT64, false),
                Layout::Dictionary64 => (Physical::INT64, true),
                Layout::Text => (Physical::BYTE_ARRAY, true),
                Layout::Distinct | Layout::Binary => (Physical::BYTE_ARRAY, false),
            };
            let mut field =
                Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
            if matches!(layout, Layout::Text | Layout::Distinct) {
                field = field.with_converted_type(ConvertedType::UTF8);
            }
            // Of columns with a dictionary, the encoding once that has become too large.
            let encoding = match (layout, physical) {
                (Layout::Plain32 | Layout::Binary, _) => Encoding::PLAIN,
                (_, Physical::BYTE_ARRAY) => Encoding::DELTA_BYTE_ARRAY,
                _ => Encoding::DELTA_BINARY_PACKED,
            };
            properties = properties.set_column_encoding(path.clone(), encoding);
            if *layout == Layout::Sorted64 {
                let statistics = EnabledStatistics::Chunk;
                properties = properties.set_column_statistics_enabled(path.clone(), statistics);
            }
            properties = properties.set_column_dictionary_enabled(path, dictionary);
            fields.push(Arc::new(field.build()?));
        }
        let schema = Type::group_type_builder("davy")
            .with_fields(fields)
            .build()?;
        let file =
            SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()))?;
        Ok(Self {
            file,
            constant: None,
        })
    }

    /// Writes a row group; the columns must be in the order of the file, without the constant one.
    pub fn group(&mut self, columns: &[Column<'_>]) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for column in columns {
            let Some(mut writer) = group.next_column()? else {
                break;
            };
            match column {
                Column::I32(values) => {
                    writer
                        .typed::<Int32Type>()
                        .write_batch(values, None, None)?;
                }
                Column::I64(values) => {
                    writer
                        .typed::<Int64Type>()
                        .write_batch(values, None, None)?;
                }
                Column::Text(values) => {
                    let bytes: Vec<&[u8]> = values.iter().map(|text| text.as_bytes()).collect();
                    let views = views(&bytes);
                    writer
                        .typed::<ByteArrayType>()
                        .write_batch(&views, None, None)?;
                }
                Column::Binary(values) => {
                    let views = views(values);
                    writer
                        .typed::<ByteArrayType>()
                        .write_batch(&views, None, None)?;
                }
            }
            writer.close()?;
        }
        if let (Some(text), Some(mut writer)) = (&self.constant, group.next_column()?) {
            let mut rows = columns.first().map_or(0, Column::len);
            let values = vec![text.clone(); rows.min(CONSTANT_ROWS)];
            while rows > 0 {
                let count = rows.min(CONSTANT_ROWS);
                let typed = writer.typed::<ByteArrayType>();
                rows -= typed.write_batch(&values[..count], None, None)?;
            }
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Bytes of the row groups so far.
    pub fn bytes(&self) -> usize {
        self.file.bytes_written()
    }

    /// Finishes the file with key-value metadata in its footer. Returns its bytes and the range of each
    /// row group.
    pub fn finish(mut self, facts: &[(&str, String)]) -> Result<(Vec<u8>, Vec<Extent>)> {
        for (key, value) in facts {
            self.file
                .append_key_value_metadata(KeyValue::new((*key).to_owned(), value.clone()));
        }
        let ranges = self
            .file
            .flushed_row_groups()
            .iter()
            .map(group_range)
            .collect();
        Ok((self.file.into_inner()?, ranges))
    }
}

/// Values as the writer expects them: views of one buffer, in which consecutive equal values are stored
/// once.
fn views(texts: &[&[u8]]) -> Vec<ByteArray> {
    let runs = || texts.chunk_by(|a, b| std::ptr::eq(*a, *b) || a == b);
    let mut all = Vec::with_capacity(runs().map(|run| run[0].len()).sum());
    for run in runs() {
        all.extend_from_slice(run[0]);
    }
    let (all, mut at) = (Bytes::from(all), 0);
    let mut views = Vec::with_capacity(texts.len());
    for run in runs() {
        let view = ByteArray::from(all.slice(at..at + run[0].len()));
        at += run[0].len();
        views.resize(views.len() + run.len(), view);
    }
    views
}

/// Start and end (exclusive) of a row group in its file.
pub type Extent = (u64, u64);

fn group_range(group: &RowGroupMetaData) -> Extent {
    let chunks = group.columns().iter().map(ColumnChunkMetaData::byte_range);
    // The offset of an empty column means nothing.
    let chunks = chunks.filter(|(_, length)| *length > 0);
    let ranges = chunks.map(|(start, length)| (start, start + length));
    ranges
        .reduce(|(from, to), (start, end)| (from.min(start), to.max(end)))
        .unwrap_or((0, 0))
}

/// The bytes of a file of `length` bytes that begin at `start`.
#[derive(Clone, Debug)]
pub struct Span {
    /// Offset in the file.
    pub start: u64,
    /// Bytes of the span.
    pub bytes: Bytes,
    /// Length of the file.
    pub length: u64,
}

impl Span {
    /// A whole file.
    pub fn whole(bytes: Bytes) -> Self {
        Self {
            start: 0,
            length: bytes.len() as u64,
            bytes,
        }
    }
}

impl Length for Span {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Span {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let at = start
            .checked_sub(self.start)
            .filter(|at| *at <= self.bytes.len() as u64);
        let at =
            at.ok_or_else(|| ParquetError::EOF(format!("byte {start} is outside the span")))?;
        Ok(self.bytes.slice(at as usize..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let outside = || ParquetError::EOF(format!("bytes {start}+{length} are outside the span"));
        let at = start.checked_sub(self.start).ok_or_else(outside)?;
        let end = at
            .checked_add(length as u64)
            .filter(|end| *end <= self.bytes.len() as u64);
        Ok(self
            .bytes
            .slice(at as usize..end.ok_or_else(outside)? as usize))
    }
}

/// Parses the footer of a file from a span that contains its end.
pub fn footer(span: &Span) -> Result<Arc<ParquetMetaData>> {
    Ok(Arc::new(
        ParquetMetaDataReader::new().parse_and_finish(span)?,
    ))
}

/// One row group of a file.
#[derive(Clone)]
pub struct Group {
    /// The footer of the file.
    pub meta: Arc<ParquetMetaData>,
    /// Index of the row group.
    pub index: usize,
    /// Bytes that contain the row group.
    pub span: Span,
}

impl Group {
    /// A column of values of this type, and the number of its rows.
    fn chunk<T: DataType>(&self, column: usize) -> Result<(&ColumnChunkMetaData, usize)> {
        let group = self.meta.row_groups().get(self.index);
        let group = group.ok_or_else(|| Error::corrupt("missing row group"))?;
        let chunk = group
            .columns()
            .get(column)
            .ok_or_else(|| Error::corrupt("missing column"))?;
        if chunk.column_type() != T::get_physical_type() {
            return Err(Error::corrupt("unexpected column type"));
        }
        let rows = usize::try_from(group.num_rows()).map_err(Error::corrupt_by)?;
        Ok((chunk, rows))
    }

    fn pages(
        &self,
        chunk: &ColumnChunkMetaData,
        rows: usize,
    ) -> Result<SerializedPageReader<Span>> {
        let span = Arc::new(self.span.clone());
        Ok(SerializedPageReader::new(span, chunk, rows, None)?)
    }

    fn read<T: DataType>(&self, column: usize) -> Result<Vec<T::T>> {
        let (chunk, rows) = self.chunk::<T>(column)?;
        let pages = Box::new(self.pages(chunk, rows)?);
        let mut reader = ColumnReaderImpl::<T>::new(chunk.column_descr_ptr(), pages);
        // A damaged footer can claim any number of rows, so the allocation is bounded.
        let mut values = Vec::with_capacity(rows.min(1 << 20));
        while values.len() < rows {
            let (read, ..) = reader.read_records(rows - values.len(), None, None, &mut values)?;
            if read == 0 {
                return Err(Error::corrupt("truncated column"));
            }
        }
        Ok(values)
    }

    /// Size of its columns after decompression, in bytes, as the footer states it.
    pub fn decoded_bytes(&self) -> u64 {
        let group = self.meta.row_groups().get(self.index);
        group.map_or(0, |group| group.total_byte_size().max(0).unsigned_abs())
    }

    /// Whether it has a column with this index; earlier versions have fewer.
    pub fn has(&self, column: usize) -> bool {
        let group = self.meta.row_groups().get(self.index);
        group.is_some_and(|group| column < group.columns().len())
    }

    /// Reads a column of 32-bit integers.
    pub fn i32(&self, column: usize) -> Result<Vec<i32>> {
        self.read::<Int32Type>(column)
    }

    /// Reads a column of 64-bit integers.
    pub fn i64(&self, column: usize) -> Result<Vec<i64>> {
        self.read::<Int64Type>(column)
    }

    /// Reads a column of texts, or of bytes.
    pub fn text(&self, column: usize) -> Result<Texts> {
        let (chunk, rows) = self.chunk::<ByteArrayType>(column)?;
        let descriptor = chunk.column_descr();
        if descriptor.max_def_level() != 0 || descriptor.max_rep_level() != 0 {
            return Err(Error::corrupt(
                "texts must be neither optional nor repeated",
            ));
        }
        let mut texts = TextPages::of(rows);
        for page in self.pages(chunk, rows)? {
            texts.page(&page?)?;
        }
        texts.finish()
    }
}

#[cfg(test)]
mod tests;
