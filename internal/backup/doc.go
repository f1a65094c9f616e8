// Package backup copies folders into one stream, and out of it into place: all of them or none.
//
// The stream is a tar archive (POSIX.1-2001) of regular files and folders, in an order that depends on their names alone. Its
// first file, [ManifestName], says what it is; below it each path begins with the name of a [Part]:
//
//	sealmail-backup.json                {"format": "sealmail-backup", "version": 1, "created": TIME}
//	PART/PATH…
//
// Owners and permissions are not kept: what is restored is for its owner alone. Lock files, sockets and temporary files are not
// copied; a symbolic link to a file is copied as that file, and anything else is an error, so that nothing is left out
// unsaid.
//
// Restoring goes by way of a staging folder beside each folder that is to be. Nothing takes its place before all is there and
// durable; from then on a mark says so, and who comes after a kill goes on ([Finish]). So the folders are empty, or whole.
//
// The package knows nothing of encryption: the stream that it reads may be anybody's, and nothing in it leads out of the
// staging folders.
package backup
