import pytest

from seqgen.config import build_config, known_keys, load_yaml, merge, parse_overrides, to_plain
from seqgen.errors import ConfigError


def test_values_are_coerced_by_the_type_of_their_field():
    config = build_config({"training": {"learning_rate": "1e-3"}, "index": {"split": [90, 10, 0]}})
    assert config.training.learning_rate == 1e-3
    assert config.index.split == (90.0, 10.0, 0.0)


def test_an_unknown_key_names_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"unknown key model\.hiden_size; did you mean model\.hidden_size"):
        build_config({"model": {"hiden_size": 3}})


def test_an_unknown_section_lists_the_known_keys():
    with pytest.raises(ConfigError, match=r"known: .*training\.bptt"):
        build_config({"optimiser": {}})


@pytest.mark.parametrize(
    "values", [{"layers": 0}, {"dropout": 1.0}, {"cell": "transformer"}, {"layers": 2.5}]
)
def test_values_out_of_range_are_refused_with_their_key(values):
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(values))} = "):
        build_config({"model": values})


def test_plain_values_build_the_same_config_again():
    config = build_config({"model": {"layers": 3}, "corpus": {"documents": "lines"}})
    assert build_config(to_plain(config)) == config


def test_overrides_are_dotted_and_typed():
    assert parse_overrides(["model.layers=3", "corpus.column=text"]) == {
        "model": {"layers": 3},
        "corpus": {"column": "text"},
    }


def test_a_bare_key_is_told_its_full_name():
    with pytest.raises(ConfigError, match=r"did you mean training\.bptt\?"):
        parse_overrides(["bptt=3"])


def test_an_override_without_a_value_is_refused():
    with pytest.raises(ConfigError, match="expected key=value"):
        parse_overrides(["model.layers"])


def test_merging_goes_into_nested_mappings():
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}) == {"a": {"b": 1, "c": 3}}


def test_broken_yaml_is_refused_with_its_line(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model:\n  layers: [1\n")
    with pytest.raises(ConfigError, match=r"run\.yaml:3: not valid YAML"):
        load_yaml(path)


def test_yaml_that_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_yaml(path)


def test_every_key_is_known_by_its_dotted_name():
    assert {"model.cell", "training.epochs", "index.split", "vocab.level"} <= set(known_keys())
