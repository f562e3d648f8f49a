"""Credentials out of AWS Secrets Manager."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from importer.errors import SettingsError

VARIABLE = "MIXPANEL_SECRET_ARN"
"""The variable that names the secret: a JSON object of `MIXPANEL_…` settings, or a project's token alone."""

_OURS = "MIXPANEL_"


def settings_in_secret(variables: Mapping[str, str]) -> dict[str, str]:
    """The settings that the secret holds; none where the variables name no secret.

    Raises:
        SettingsError: it cannot be read, or is neither of the two.
    """
    name = variables.get(VARIABLE, "").strip()
    return _settings(_value(name)) if name else {}


def _value(name: str) -> str:
    from botocore.session import Session  # noqa: PLC0415

    try:
        answer = Session().create_client("secretsmanager").get_secret_value(SecretId=name)
    except Exception as error:
        raise SettingsError(f"{VARIABLE} names a secret that cannot be read: {type(error).__name__}: {error}") from None
    return str(answer.get("SecretString", "")).strip()


def _settings(secret: str) -> dict[str, str]:
    if secret and not secret.startswith("{"):
        return {"MIXPANEL_PROJECT_TOKEN": secret}
    try:
        given = msgspec.json.decode(secret, type=dict[str, str])
    except msgspec.MsgspecError:
        given = {}
    if not given or not all(name.startswith(_OURS) for name in given):
        raise SettingsError(
            f"{VARIABLE} names a secret that is neither a project's token nor JSON of MIXPANEL_… texts."
        )
    return given
