"""What pyproject.toml cannot say: the wheel carries configs/, which lies beside the packages, within one of them."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["lightning_modules*", "datamodules*"]), "lightning_modules.configs"],
    package_dir={"lightning_modules.configs": "configs"},
    package_data={"": ["py.typed"], "lightning_modules.configs": ["**/*.yaml"]},
)
