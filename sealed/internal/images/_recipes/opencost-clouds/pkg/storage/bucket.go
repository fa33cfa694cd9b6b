package storage

import "errors"

// NewBucketStorage refuses: there are no buckets of a cloud.
func NewBucketStorage([]byte) (Storage, error) {
	return nil, errors.New("there is no storage in a cloud here")
}
