//go:build !unix

package filestore

const openFlags = 0
