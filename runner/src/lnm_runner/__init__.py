"""The program at the operator's site: applies the migrations of a verified kit to MongoDB. Command `lnm`."""
