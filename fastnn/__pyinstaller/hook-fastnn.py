"""Let PyInstaller take along what it does not find by reading the code.

Kernels are imported by computed names. Their sources are kept beside the program, because the key of the
object cache is a digest of them and of the versions that the metadata says.
"""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

hiddenimports = collect_submodules("fastnn.kernels")
module_collection_mode = {"fastnn.kernels": "py"}
datas = [*collect_data_files("fastnn"), *copy_metadata("numba"), *copy_metadata("llvmlite")]
