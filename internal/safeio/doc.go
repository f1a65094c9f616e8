// Package safeio changes files so that a crash, a kill or a full disk leaves either the old state or the new one.
//
// A file is written under a temporary name in the directory of its target, brought to the disk (fsync), renamed over
// the target, and the directory is brought to the disk too; only then does the call return. The other operations
// (making directories, removing, renaming) sync the directories that they change in the same way.
//
// [Disk.Before] is called before each step. Tests use it to make a step fail, or to kill the process there.
//
// The package knows no formats and takes no locks between writers: of two writers of one file the later rename wins,
// and each reader sees one of the two whole. Who must read, change and write takes a lock of his own.
package safeio
