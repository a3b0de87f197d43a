-- Run once, when PostgreSQL's volume is new: ISM and Keycloak each own a database, and neither role is a superuser.
\getenv ism_password ISM_DB_PASSWORD
\getenv keycloak_password KEYCLOAK_DB_PASSWORD

create role ism login password :'ism_password';
create database ism owner ism;

create role keycloak login password :'keycloak_password';
create database keycloak owner keycloak;
