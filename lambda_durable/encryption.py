"""Encryption of all that an app keeps, with the AWS Encryption SDK: `pip install 'lambda-durable[encryption]'`."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from .durations import Duration, parse_duration
from .errors import ConfigurationError, DurableError

try:
    import aws_encryption_sdk as sdk
except ModuleNotFoundError:
    raise ConfigurationError(
        "encryption needs the AWS Encryption SDK: pip install 'lambda-durable[encryption]'"
    ) from None

from aws_encryption_sdk.exceptions import InvalidKeyIdError
from aws_encryption_sdk.identifiers import Algorithm, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.base import MasterKeyProvider, MasterKeyProviderConfig
from aws_encryption_sdk.key_providers.kms import KMSMasterKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey

from .aws.clients import Clients
from .middleware import Middleware, Place

__all__ = ["DecryptionError", "Encryption", "KmsKey", "RawKey"]

VARIABLE = "LAMBDA_DURABLE_KMS_KEY_ARN"
OLD_VARIABLE = "LAMBDA_DURABLE_OLD_KMS_KEY_ARN"
"""Environment variables that the template sets, of its parameters KmsKeyArn and OldKmsKeyArn."""

APP = "lambda_durable-app"
"""The key of the app's id in the encryption context. Conditions on kms:EncryptionContext can name it."""

DATA_KEYS = 1_000
"""Data keys that a process remembers."""

MESSAGES = 1 << 20
"""Values that one data key encrypts at most. The SDK derives a key of its own for each from it."""


class DecryptionError(DurableError):
    """What is kept is not what was encrypted there: it was changed, moved, or is of another app."""


@dataclass(frozen=True)
class KmsKey:
    """A symmetric key of AWS KMS. `arn` is that of the key, not of an alias: it tells who may decrypt what. A
    `client` for KMS is made by the key's region, unless one is given."""

    arn: str
    client: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = self.arn.split(":", 5) if isinstance(self.arn, str) else []
        if len(parts) != 6 or parts[2] != "kms" or not parts[5].startswith("key/"):
            raise ConfigurationError(
                f"a KMS key is named by its ARN (arn:aws:kms:eu-west-1:111122223333:key/...), and this is {self.arn!r}"
            )

    def _master_key(self) -> Any:
        client = self.client
        if client is None:
            client = Clients().of("kms", region_name=self.arn.split(":")[3])
        return KMSMasterKey(key_id=self.arn, client=client)


@dataclass(frozen=True)
class RawKey:
    """An AES key of 32 bytes that you keep yourself, for tests and laptops. `name` tells it from others."""

    name: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError(f"a RawKey has a name, and this is {self.name!r}")
        if not isinstance(self.secret, bytes) or len(self.secret) != 32:
            raise ConfigurationError(
                f"the secret of RawKey {self.name!r} is 32 bytes; os.urandom(32) makes one"
            )

    def _master_key(self) -> Any:
        wrapping = WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=self.secret,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )
        return RawMasterKey(provider_id="lambda_durable", key_id=self.name, wrapping_key=wrapping)


Key = str | KmsKey | RawKey


class _Keys(MasterKeyProvider):  # type: ignore[misc]
    """Several keys: the first generates data keys, all encrypt them, and any decrypts."""

    provider_id = "lambda_durable-keys"
    _config_class = MasterKeyProviderConfig
    vend_masterkey_on_decrypt = False

    def _new_master_key(self, key_id: bytes) -> Any:
        raise InvalidKeyIdError(f"there is no key {key_id!r}")


class Encryption(Middleware):
    """Encrypts every value that an app keeps, and decrypts it.

    Data keys are generated and encrypted by `key` (a KMS key's ARN, say; without one, it is the deployment's, of the
    template's parameter KmsKeyArn); what is written can be read with `key` and any of `more_keys`, and what was
    written before also with `old_keys`. A data key serves all runs for `cache_for`, so that KMS is asked once in that
    time, and not for every step; so long, too, what it has decrypted stays readable after a permission is withdrawn.

    The app is bound to each value as its encryption context, and whose it is (`Place.owner`) inside: a value that
    somebody moved to another run is a DecryptionError. With `required`, so is one that is not encrypted (an
    UnsealedError): switch it on once no run is left that began before the app encrypted.
    """

    name = "encryption"

    def __init__(
        self,
        key: Key | None = None,
        *,
        more_keys: Sequence[Key] = (),
        old_keys: Sequence[Key] = (),
        cache_for: Duration = "10m",
        required: bool = False,
    ) -> None:
        self._key = _key(key) if key is not None else None
        self._more_keys = [_key(each) for each in more_keys]
        self._old_keys = [_key(each) for each in old_keys]
        self._cache_for = parse_duration(cache_for, "Encryption(cache_for=)")
        if not isinstance(required, bool):
            raise ConfigurationError(f"required= of Encryption is True or False, and this is {required!r}")
        self.required = required
        if self._cache_for <= timedelta():
            raise ConfigurationError(
                f"cache_for= of Encryption is more than nothing, and this is {cache_for!r}"
            )

    def encode(self, text: str, place: Place) -> str:
        encrypted, _ = self._sdk.encrypt(
            source=f"{place.owner}\n{text}".encode(),
            materials_manager=self._encrypting,
            encryption_context={APP: place.app_id},
            # Who may write may read as well here, so a signature would tell nothing.
            algorithm=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
            frame_length=0,
        )
        return base64.b64encode(encrypted).decode()

    def decode(self, text: str, place: Place) -> str:
        source = base64.b64decode(text, validate=True)
        decryptor = self._sdk.stream(mode="d", source=source, materials_manager=self._decrypting)
        try:
            decrypted = decryptor.read()
        except BaseException:
            decryptor.footer = None  # what failed has none, of which close() would complain instead
            raise
        finally:
            decryptor.close()
        app_id = decryptor.header.encryption_context.get(APP)
        owner, _, plain = str(decrypted, "utf-8").partition("\n")
        if (app_id, owner) != (place.app_id, place.owner):
            raise DecryptionError(
                f"this was written for {owner} of app {app_id!r}, and was found as that of {place.owner} of app "
                f"{place.app_id!r}: who moved it?"
            )
        return plain

    @cached_property
    def _sdk(self) -> Any:
        return sdk.EncryptionSDKClient(max_encrypted_data_keys=10)

    @cached_property
    def _encrypting(self) -> Any:
        key, more, _ = self._keys
        return self._caching(key, more)

    @cached_property
    def _decrypting(self) -> Any:
        key, more, old = self._keys
        return self._caching(key, [*more, *old])

    @cached_property
    def _keys(self) -> tuple[KmsKey | RawKey, list[KmsKey | RawKey], list[KmsKey | RawKey]]:
        if self._key is not None:
            return self._key, self._more_keys, self._old_keys
        arn, old = (os.environ.get(name, "").strip() for name in (VARIABLE, OLD_VARIABLE))
        if not arn:
            raise ConfigurationError(
                f"Encryption() has no key: give it the ARN of a KMS key, or deploy with the parameter KmsKeyArn, which "
                f"sets {VARIABLE}"
            )
        return KmsKey(arn), self._more_keys, [*([KmsKey(old)] if old else []), *self._old_keys]

    def _caching(self, key: KmsKey | RawKey, others: Sequence[KmsKey | RawKey]) -> Any:
        keys = _Keys()
        for each in (key, *others):
            keys.add_master_key_provider(each._master_key())
        return sdk.CachingCryptoMaterialsManager(
            master_key_provider=keys,
            cache=sdk.LocalCryptoMaterialsCache(DATA_KEYS),
            max_age=self._cache_for.total_seconds(),
            max_messages_encrypted=MESSAGES,
        )


def _key(given: Key) -> KmsKey | RawKey:
    if isinstance(given, KmsKey | RawKey):
        return given
    return KmsKey(given)
