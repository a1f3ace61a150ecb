"""Make the bucket that MLFLOW_ARTIFACTS_DESTINATION names, if it is not there."""

import os
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

bucket = urlsplit(os.environ["MLFLOW_ARTIFACTS_DESTINATION"]).netloc
storage = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
try:
    storage.head_bucket(Bucket=bucket)
except ClientError as error:
    if error.response["Error"]["Code"] != "404":
        raise
    storage.create_bucket(Bucket=bucket)
