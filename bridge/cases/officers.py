"""Officers and roles: who may open a case, for what, and how often.

Roles are policy and stand in `contracts/roles.yaml`. Which person has which role is the council's own list,
`council/officers.yaml` in the home folder. On the command line an officer is whoever the operating system says is
logged in: each officer names one account. That is as good as the account's own login, and no better.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.vault.arrivals import ARRIVAL_SCHEMA
from governance.contracts import CONTRACTS_FOLDER
from stores.home import Home

Model = TypeVar("Model", bound=BaseModel)


class OfficersError(ValueError):
    """The list of roles or officers cannot be read as it is."""


class Role(BaseModel):
    """What officers of one role may open. `use_cases` gives the purposes for each use case, `reviews` those for which
    they may open the pairs of a clerical review of linkage (`contracts/linkage_review.yaml`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    use_cases: dict[str, tuple[str, ...]]
    reviews: tuple[str, ...] = ()
    feeds: tuple[str, ...]
    shows: tuple[str, ...]
    openings_per_day: int = Field(ge=0)
    refusals_per_day: int = Field(ge=0)


class Officer(BaseModel):
    """A person who may open cases: short name, role, and account on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    officer: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    role: str
    system_user: str


def read_roles(folder: Path = CONTRACTS_FOLDER) -> dict[str, Role]:
    """Read `contracts/roles.yaml`: roles by name. Raises `OfficersError`."""
    path = folder / "roles.yaml"
    roles = {name: _read(Role, each, path) for name, each in _document(path)["roles"].items()}
    for name, role in roles.items():
        unknown = set(role.shows) - set(ARRIVAL_SCHEMA.names)
        if unknown:
            raise OfficersError(
                f"{path}: role {name} shows {', '.join(sorted(unknown))}, which no vault holds."
            )
    return roles


def read_officers(home: Home) -> dict[str, Officer]:
    """Read the council's officers, by short name; none where there is no list. Raises `OfficersError`."""
    path = home.officers
    if not path.is_file():
        return {}
    officers = [_read(Officer, each, path) for each in _document(path)["officers"]]
    if len({each.officer for each in officers}) != len(officers):
        raise OfficersError(f"{path}: an officer is listed twice.")
    return {each.officer: each for each in officers}


def _document(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        raise OfficersError(f"{path}: not YAML.") from None
    if not isinstance(document, dict):
        raise OfficersError(f"{path}: it holds no list.")
    return document


def _read(kind: type[Model], document: object, path: Path) -> Model:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise OfficersError(f"{path}: {where} is missing, unknown or not as it should be.") from None
