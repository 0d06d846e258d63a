# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
"""Contains endpoint functions for accessing the API"""
