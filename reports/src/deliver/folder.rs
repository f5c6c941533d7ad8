//! A folder: each report in one of its own.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Again, Deliver, Delivery, DeliveryError, Parcel};

/// Writes each file whole or not at all; the folder is made where there is none.
pub fn write_files<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        let beside = folder.join(format!(".{name}.new"));
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, folder.join(name))?;
    }
    Ok(())
}

/// A folder that takes reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Reports go into folders in this one.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Deliver for Folder {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Delivery<'a> {
        Box::pin(async move {
            let files = parcel.files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
            write_files(&self.path.join(&parcel.name), files).map_err(|error| DeliveryError {
                cause: format!("cannot write into {}: {error}", self.path.display()),
                again: Again::Later,
            })
        })
    }
}
