"""What Airflow lists of the provider. It asks before it can be imported itself, so this imports nothing of it."""

from __future__ import annotations

from typing import Any

_MODULE = "importer.orchestrators.airflow"


def get_provider_info() -> dict[str, Any]:
    """What Airflow lists of this provider. The entry point `apache_airflow_provider` names it."""
    return {
        "package-name": "mixpanel-importer",
        "name": "Mixpanel importer",
        "description": "Brings event data into Mixpanel: complete, once, fast.",
        "integrations": [
            {"integration-name": "Mixpanel", "external-doc-url": "https://mixpanel.com", "tags": ["service"]}
        ],
        "hooks": [{"integration-name": "Mixpanel", "python-modules": [_MODULE]}],
        "operators": [{"integration-name": "Mixpanel", "python-modules": [_MODULE]}],
        "connection-types": [{"connection-type": "mixpanel", "hook-class-name": f"{_MODULE}.MixpanelHook"}],
    }
