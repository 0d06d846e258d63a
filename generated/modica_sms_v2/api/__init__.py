# Generated from openapi/sms-v2.openapi.yaml: do not edit, run `make regenerate`.
"""Contains methods for accessing the API"""
