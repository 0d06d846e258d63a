# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.gateway_error import GatewayError
from ...models.stored_message import StoredMessage
from ...types import Response


def _get_kwargs(
    messageid: int,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/messages/{messageid}".format(
            messageid=quote(str(messageid), safe=""),
        ),
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> GatewayError | StoredMessage | None:
    if response.status_code == 200:
        response_200 = StoredMessage.from_dict(response.json())

        return response_200

    if response.status_code == 401:
        response_401 = GatewayError.from_dict(response.json())

        return response_401

    if response.status_code == 404:
        response_404 = GatewayError.from_dict(response.json())

        return response_404

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[GatewayError | StoredMessage]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    messageid: int,
    *,
    client: AuthenticatedClient | Client,
) -> Response[GatewayError | StoredMessage]:
    """Read back a message by its id.

    Args:
        messageid (int): The id given when the message was submitted.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[GatewayError | StoredMessage]
    """

    kwargs = _get_kwargs(
        messageid=messageid,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    messageid: int,
    *,
    client: AuthenticatedClient | Client,
) -> GatewayError | StoredMessage | None:
    """Read back a message by its id.

    Args:
        messageid (int): The id given when the message was submitted.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        GatewayError | StoredMessage
    """

    return sync_detailed(
        messageid=messageid,
        client=client,
    ).parsed


async def asyncio_detailed(
    messageid: int,
    *,
    client: AuthenticatedClient | Client,
) -> Response[GatewayError | StoredMessage]:
    """Read back a message by its id.

    Args:
        messageid (int): The id given when the message was submitted.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[GatewayError | StoredMessage]
    """

    kwargs = _get_kwargs(
        messageid=messageid,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    messageid: int,
    *,
    client: AuthenticatedClient | Client,
) -> GatewayError | StoredMessage | None:
    """Read back a message by its id.

    Args:
        messageid (int): The id given when the message was submitted.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        GatewayError | StoredMessage
    """

    return (
        await asyncio_detailed(
            messageid=messageid,
            client=client,
        )
    ).parsed
